package launch

import "errors"

// torchrunFormat writes what torch.distributed reads in the environment. The first
// member is the master, at its first endpoint.
func torchrunFormat(d *Data) (string, error) {
	if len(d.Members) == 0 {
		return "", errors.New("the cluster has no members yet")
	}
	master, err := d.Members[0].Endpoint(0)
	if err != nil {
		return "", err
	}
	var l lines
	l.addf("MASTER_ADDR=%s", master.Host())
	l.addf("MASTER_PORT=%d", master.Port())
	l.addf("WORLD_SIZE=%d", d.Cluster.Size)
	if d.Self != nil {
		l.addf("RANK=%d", d.Self.Index)
	}
	return l.String(), nil
}
