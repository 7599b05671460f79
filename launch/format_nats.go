package launch

// natsFormat writes a configuration file for nats-server: the first endpoint is
// for routes, the second for clients, and both want a member's certificate. Strings
// are in double quotes, which neither names nor addresses have in them.
func natsFormat(d *Data) (string, error) {
	if d.Self == nil {
		return natsRoutes(d.Members)
	}
	routes, err := natsRoutes(d.Others())
	if err != nil {
		return "", err
	}
	own, err := d.Self.Endpoint(0)
	if err != nil {
		return "", err
	}
	clients, err := d.Self.Endpoint(1)
	if err != nil {
		return "", err
	}
	listen, err := d.listenOnTwo()
	if err != nil {
		return "", err
	}
	files, err := d.TLS()
	if err != nil {
		return "", err
	}
	var l lines
	l.addf("server_name: %q", d.Self.Name)
	l.addf("listen: %q", listen[1])
	l.addf("client_advertise: %q", clients)
	l.addNatsTLS("", files)
	l.addf("cluster {")
	l.addf("  name: %q", d.Cluster.Name)
	l.addf("  listen: %q", listen[0])
	l.addf("  cluster_advertise: %q", own)
	l.addNatsTLS("  ", files)
	l.WriteString(routes)
	l.addf("}")
	return l.String(), nil
}

func natsRoutes(members []*MemberData) (string, error) {
	var l lines
	l.addf("  routes: [")
	for _, m := range members {
		e, err := m.Endpoint(0)
		if err != nil {
			return "", err
		}
		l.addf("    %q", "nats-route://"+string(e))
	}
	l.addf("  ]")
	return l.String(), nil
}

func (l *lines) addNatsTLS(indent string, files TLS) {
	l.addf("%stls {", indent)
	l.addf("%s  cert_file: %q", indent, files.Cert)
	l.addf("%s  key_file: %q", indent, files.Key)
	l.addf("%s  ca_file: %q", indent, files.Peers)
	l.addf("%s  verify: true", indent)
	l.addf("%s  timeout: 5", indent)
	l.addf("%s}", indent)
}
