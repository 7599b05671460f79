package launch

import (
	"path/filepath"
	"strings"
)

// TalkTo returns a command that talks to the cluster as d's member, for programs that
// are known. It is for people to paste.
func (d *Data) TalkTo(program string) (command string, known bool) {
	write := map[string]func(clients Endpoint, files TLS) []string{
		"etcd": func(clients Endpoint, files TLS) []string {
			return []string{
				"etcdctl --endpoints https://" + string(clients), "--cacert " + Quote(files.Peers),
				"--cert " + Quote(files.Cert), "--key " + Quote(files.Key), "member list",
			}
		},
		"nats-server": func(clients Endpoint, files TLS) []string {
			return []string{
				"nats --server tls://" + string(clients), "--tlsca " + Quote(files.Peers),
				"--tlscert " + Quote(files.Cert), "--tlskey " + Quote(files.Key), "rtt",
			}
		},
	}[filepath.Base(program)]
	files, err := d.TLS()
	if write == nil || err != nil {
		return "", false
	}
	clients, err := d.Self.Endpoint(1)
	if err != nil {
		return "", false
	}
	return strings.Join(write(clients, files), " \\\n    "), true
}
