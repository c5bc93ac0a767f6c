#!/bin/sh
# Starts a server in the background, launches stoker, prints a curl that works, and leaves it serving.
set -eu
port="$1"
address="http://127.0.0.1:$port"
mkdir -p "$ENGINEHOUSE_HOME"
log="$ENGINEHOUSE_HOME/server.out"

if curl -fs "$address/health" >/dev/null 2>&1; then
  echo "A server answers at $address already; using it."
else
  nohup enginehouse serve --port "$port" >"$log" 2>&1 </dev/null &
  server=$!
  echo "$server" >"$ENGINEHOUSE_HOME/server.pid"
  waited=0
  until curl -fs "$address/health" >/dev/null 2>&1; do
    # 60 s: a first start compiles every module, which takes a slow machine long
    if [ "$waited" -ge 600 ] || ! kill -0 "$server" 2>/dev/null; then
      echo "The server did not start. It said:" >&2
      tail -n 20 "$log" >&2
      exit 1
    fi
    waited=$((waited + 1))
    sleep 0.1
  done
fi

export ENGINEHOUSE_ENDPOINT="$address"
if ! curl -fs "$address/v1/models/stoker" >/dev/null 2>&1; then
  enginehouse launch --model-name stoker --model-engine transformers
fi

cat <<END

stoker is serving at $address. Try:

  curl $address/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"model": "stoker", "messages": [{"role": "user", "content": "What is the largest animal?"}]}'

It answers:
END
curl -fsS "$address/v1/chat/completions" -H 'Content-Type: application/json' \
  -d '{"model": "stoker", "temperature": 0, "messages": [{"role": "user", "content": "What is the largest animal?"}]}'
cat <<END


Talk to it:   . .venv/bin/activate && enginehouse chat stoker
Look at it:   enginehouse list
End it all:   make stop
END
