"""The host: plugins, catalog, matching, planning, devices, weights, environments, deployments, state."""
