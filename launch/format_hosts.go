package launch

import "strings"

// hostsFormat writes the lines of /etc/hosts that give the members' names to their
// first addresses. A name has no place there, and gets a comment.
func hostsFormat(d *Data) (string, error) {
	var l lines
	for _, m := range d.Members {
		e, err := m.Endpoint(0)
		if err != nil {
			return "", err
		}
		host := d.hostName(m)
		if _, ok := e.Addr(); !ok {
			l.addf("# %s is at %s", host, e.Host())
			continue
		}
		l.addf("%s\t%s", e.Host(), host)
	}
	return l.String(), nil
}

// hostName returns what a member is called among this machine's hosts. Members choose
// their names, and one could call itself github.com or localhost: a name that may be
// another host's is written below the cluster's own.
func (d *Data) hostName(m *MemberData) string {
	name := strings.ToLower(m.Name)
	if strings.Contains(name, ".") || strings.Contains(name, "localhost") || strings.HasPrefix(name, "ip6-") {
		return m.Name + "." + d.Cluster.Name
	}
	return m.Name
}
