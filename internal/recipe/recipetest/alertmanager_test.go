package recipetest

func alertmanager() system {
	const amtool = `amtool --alertmanager.url="https://${XLREG_ENDPOINTS_WEB%%,*}" --http.config.file="${XLREG_ROSTER%/*}/client.yml" `
	return system{
		name:  "alertmanager",
		needs: []string{"amtool"},
		what:  []string{`prometheus-alertmanager --version | sed -n 's/^alertmanager, version \([^ ]*\).*/alertmanager \1/p'`},
		tls:   []port{{name: "gossip"}, {name: "web"}},
		// What is silenced is kept, and told to the others.
		write:  amtool + `silence add --author test --comment first alertname=fire`,
		read:   amtool + `silence query -o json | sed -n 's/.*"comment":"\([^"]*\)".*/\1/p'`,
		wrote:  "first",
		goesOn: amtool + `silence query`,
		kept:   true,
	}
}
