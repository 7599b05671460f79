package launch

import (
	"strconv"
)

// The variables that each program finds in its environment.
const (
	EnvCluster = "XLREG_CLUSTER" // the cluster's name
	EnvSelf    = "XLREG_SELF"    // the member's name
	EnvIndex   = "XLREG_INDEX"   // its index
	EnvSize    = "XLREG_SIZE"    // how many members the cluster is made for
	EnvRoster  = "XLREG_ROSTER"  // the path of a JSON file with all members

	// The paths of the files for mutual TLS. They are not set if some member has no
	// certificate.
	EnvTLSCert  = "XLREG_TLS_CERT"
	EnvTLSKey   = "XLREG_TLS_KEY"
	EnvTLSPeers = "XLREG_TLS_PEERS"
)

// EnvNames returns the names of all of them.
func EnvNames() []string {
	return []string{EnvCluster, EnvSelf, EnvIndex, EnvSize, EnvRoster, EnvTLSCert, EnvTLSKey, EnvTLSPeers}
}

// Environment returns the variables that d's member finds in its environment, as
// NAME=value.
func (d *Data) Environment() ([]string, error) {
	roster, err := d.Roster()
	if err != nil {
		return nil, err
	}
	env := []string{
		EnvCluster + "=" + d.Cluster.Name,
		EnvSelf + "=" + d.Self.Name,
		EnvIndex + "=" + strconv.Itoa(d.Self.Index),
		EnvSize + "=" + strconv.Itoa(d.Cluster.Size),
		EnvRoster + "=" + roster,
	}
	if !d.hasTLS() {
		return env, nil
	}
	files := tlsFiles(d.Dir)
	return append(env, EnvTLSCert+"="+files.Cert, EnvTLSKey+"="+files.Key, EnvTLSPeers+"="+files.Peers), nil
}
