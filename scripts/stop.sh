#!/bin/sh
# Ends the server that scripts/serve.sh started, and its models (an interrupt ends both).
set -eu
file="$ENGINEHOUSE_HOME/server.pid"
if [ ! -f "$file" ] || ! kill -0 "$(cat "$file")" 2>/dev/null; then
  echo "No server that 'make serve' started is running."
  exit 0
fi
server=$(cat "$file")
kill -INT "$server"
waited=0
while kill -0 "$server" 2>/dev/null && [ "$waited" -lt 450 ]; do # 45 s: running requests may take 30 s to end
  waited=$((waited + 1))
  sleep 0.1
done
rm -f "$file"
echo "Stopped."
