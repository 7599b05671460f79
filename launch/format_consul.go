package launch

// consulFormat writes flags for consul agent -server. The first endpoint is where
// the agents gossip.
func consulFormat(d *Data) (string, error) {
	var l lines
	if d.Self != nil {
		own, err := d.Self.Endpoint(0)
		if err != nil {
			return "", err
		}
		l.addf("-node=%s", d.Self.Name)
		l.addf("-server")
		l.addf("-bootstrap-expect=%d", d.Cluster.Size)
		if _, ok := own.Addr(); ok { // consul advertises addresses only
			l.addf("-advertise=%s", own.Host())
		}
		l.addf("-serf-lan-port=%d", own.Port())
	}
	for _, m := range d.Others() {
		e, err := m.Endpoint(0)
		if err != nil {
			return "", err
		}
		l.addf("-retry-join=%s", e)
	}
	return l.String(), nil
}
