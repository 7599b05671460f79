package launch

import (
	"strings"
)

// etcdFormat writes flags for etcd: the first endpoint is for its peers, the
// second for its clients, and both speak TLS alone and want a member's
// certificate.
func etcdFormat(d *Data) (string, error) {
	var initial []string
	for _, m := range d.Members {
		e, err := m.Endpoint(0)
		if err != nil {
			return "", err
		}
		initial = append(initial, m.Name+"=https://"+string(e))
	}
	var l lines
	l.addf("--initial-cluster=%s", strings.Join(initial, ","))
	l.addf("--initial-cluster-state=new")
	l.addf("--initial-cluster-token=%s", d.Cluster.ID)
	if d.Self == nil {
		return l.String(), nil
	}
	if err := l.addEtcdSelf(d); err != nil {
		return "", err
	}
	return l.String(), nil
}

func (l *lines) addEtcdSelf(d *Data) error {
	peer, err := d.Self.Endpoint(0)
	if err != nil {
		return err
	}
	clients, err := d.Self.Endpoint(1)
	if err != nil {
		return err
	}
	listen, err := d.listenOnTwo()
	if err != nil {
		return err
	}
	files, err := d.TLS()
	if err != nil {
		return err
	}
	l.addf("--name=%s", d.Self.Name)
	l.addf("--initial-advertise-peer-urls=https://%s", peer)
	l.addf("--listen-peer-urls=https://%s", listen[0])
	l.addf("--advertise-client-urls=https://%s", clients)
	l.addf("--listen-client-urls=https://%s", listen[1])
	for _, prefix := range []string{"peer-", ""} {
		l.addf("--%scert-file=%s", prefix, files.Cert)
		l.addf("--%skey-file=%s", prefix, files.Key)
		l.addf("--%strusted-ca-file=%s", prefix, files.Peers)
		l.addf("--%sclient-cert-auth", prefix)
	}
	return nil
}

// listenOnTwo returns where Self listens for members and for clients.
func (d *Data) listenOnTwo() (two [2]Endpoint, err error) {
	for n := range two {
		if two[n], err = d.ListenOn(n); err != nil {
			return two, err
		}
	}
	return two, nil
}
