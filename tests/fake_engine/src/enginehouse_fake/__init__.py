"""An engine without a model, whose faults are options."""
