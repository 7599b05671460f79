package launch

// hostsFormat writes the lines of /etc/hosts that give the members' names to their
// first addresses. A name has no place there, and gets a comment.
func hostsFormat(d *Data) (string, error) {
	var l lines
	for _, m := range d.Members {
		e, err := m.Endpoint(0)
		if err != nil {
			return "", err
		}
		if _, ok := e.Addr(); !ok {
			l.addf("# %s is at %s", m.Name, e.Host())
			continue
		}
		l.addf("%s\t%s", e.Host(), m.Name)
	}
	return l.String(), nil
}
