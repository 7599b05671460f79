#!/bin/sh
# Three NATS servers with mutual TLS and no certificate authority: a key that is
# written on one, into a bucket that all three keep, is read on another. Needs xlreg,
# python3 and nats-server (Debian: nats-server).
set -eu
PATH=$PATH:/usr/sbin # where Debian has nats-server

dir=$(mktemp -d)
trap 'kill "$run" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT

xlreg run -n 3 --ports 2 --cluster demo --dir "$dir" -- \
	nats-server -c '{{file "nats"}}' -js -sd '{{.Dir}}/jetstream' >"$dir/log" 2>&1 &
run=$!

# The first member's files, which any client may use that runs as the same user.
files=$dir/m0/clusters/demo
running() { kill -0 "$run" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }; }
until [ -e "$files/roster.json" ]; do running; sleep 0.1; done

cat >"$dir/kv.py" <<'END'
"""Puts a key into a bucket on one server, and gets it on another."""
import base64, json, socket, ssl, sys, time

files = sys.argv[1]
members = json.load(open(files + "/roster.json"))["members"]

class Client:
    """As much of a NATS client as it takes. A server speaks first, then TLS."""

    def __init__(self, member):
        host, port = member["endpoints"][1].rsplit(":", 1)
        raw = socket.create_connection((host, int(port)), timeout=10)
        while not raw.recv(1) == b"\n":
            pass
        context = ssl.create_default_context(cafile=files + "/peers.pem")
        context.load_cert_chain(files + "/cert.pem", files + "/key.pem")
        self.socket = context.wrap_socket(raw, server_hostname=host)
        self.lines = self.socket.makefile("rb")
        self.send(b'CONNECT {"verbose":false}\r\nSUB answer 1\r\n')

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, subject, data):
        """Returns the answer to a request, None if nobody answers."""
        self.send(b"PUB %s answer %d\r\n%s\r\n" % (subject.encode(), len(data), data))
        while True:
            line = self.lines.readline()
            if line.startswith(b"PING"):
                self.send(b"PONG\r\n")
            elif line.startswith(b"MSG"):
                body = self.lines.read(int(line.split()[-1]) + 2)[:-2]
                return json.loads(body) if body else None
            elif line.startswith(b"-ERR") or not line:
                raise OSError(line.decode())

def ask(member, subject, data):
    """Asks again, on a new connection, while the servers look for each other."""
    end = time.monotonic() + 100
    while True:
        try:
            answer = Client(member).ask(subject, data)
            if answer and "error" not in answer:
                return answer
            problem = answer
        except OSError as error:
            problem = error
        if time.monotonic() > end:
            sys.exit("no answer in time: %s" % problem)
        time.sleep(0.1)

bucket = {"name": "KV_demo", "subjects": ["$KV.demo.>"], "num_replicas": 3, "max_msgs_per_subject": 1}
ask(members[0], "$JS.API.STREAM.CREATE.KV_demo", json.dumps(bucket).encode())
ask(members[0], "$KV.demo.hello", b"world")
found = ask(members[2], "$JS.API.STREAM.MSG.GET.KV_demo", b'{"last_by_subj":"$KV.demo.hello"}')
assert base64.b64decode(found["message"]["data"]) == b"world"
print("written on %s, read on %s" % (members[0]["name"], members[2]["name"]))
END
python3 "$dir/kv.py" "$files" || { cat "$dir/log" >&2; exit 1; }
