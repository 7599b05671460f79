package recipetest

func raftkv() system {
	const curl = `curl -fsSL --cacert "$XLREG_TLS_PEERS" --cert "$XLREG_TLS_CERT" --key "$XLREG_TLS_KEY" "$RAFTKV_URL/keys/kept" `
	return system{
		name:   "raftkv",
		needs:  []string{"curl"},
		what:   []string{`go version -m "$(command -v raftkv)" | sed -n 's/.*\(hashicorp.raft\)\tv\([^\t]*\).*/\1 \2/p'`},
		tls:    []port{{name: "raft"}, {name: "http"}},
		client: `curl -fsSL --cacert "$XLREG_TLS_PEERS" --cert "$XLREG_TLS_CERT" --key "$XLREG_TLS_KEY" "$RAFTKV_URL/status"`,
		write:  curl + `-X PUT -d first`,
		read:   curl,
		wrote:  "first",
		goesOn: curl + `-X PUT -d first`,
		kept:   true,
	}
}
