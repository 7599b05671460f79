package launch

import (
	"slices"
	"strconv"
	"strings"
)

// The variables that each program finds in its environment.
const (
	EnvCluster = "XLREG_CLUSTER" // the cluster's name
	EnvSelf    = "XLREG_SELF"    // the member's name
	EnvIndex   = "XLREG_INDEX"   // its index
	EnvSize    = "XLREG_SIZE"    // how many members the cluster is made for
	EnvRoster  = "XLREG_ROSTER"  // the path of a JSON file with all members
	EnvRole    = "XLREG_ROLE"    // the member's role, if it has one

	// The member's endpoints, separated by commas.
	EnvEndpoints = "XLREG_ENDPOINTS"
	// EnvEndpointOf is followed by a port's name, or its index if it has none: this one of the
	// member's endpoints.
	EnvEndpointOf = "XLREG_ENDPOINT_"
	// EnvEndpointsOf is followed by a port's name, or its index if it has none: this endpoint
	// of each member, in the order of their indexes, separated by commas. It is not set for a
	// port that some member does not have.
	EnvEndpointsOf = "XLREG_ENDPOINTS_"

	// The paths of the files for mutual TLS. They are not set if some member has no
	// certificate.
	EnvTLSCert  = "XLREG_TLS_CERT"
	EnvTLSKey   = "XLREG_TLS_KEY"
	EnvTLSPeers = "XLREG_TLS_PEERS"

	// Directories in which programs that talk to the cluster look for others, before those in
	// PATH. It is not set if there are none.
	EnvPath = "XLREG_PATH"
)

// EnvNames returns the names of all of them. One that ends in _ is the beginning of several.
func EnvNames() []string {
	return []string{
		EnvCluster, EnvSelf, EnvIndex, EnvSize, EnvRoster, EnvRole, EnvEndpoints, EnvEndpointOf, EnvEndpointsOf,
		EnvTLSCert, EnvTLSKey, EnvTLSPeers, EnvPath,
	}
}

// IsEnvName reports whether a variable is one of them.
func IsEnvName(name string) bool {
	return slices.ContainsFunc(EnvNames(), func(known string) bool {
		return name == known || strings.HasSuffix(known, "_") && strings.HasPrefix(name, known)
	})
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
	if role := d.Self.Role(); role != "" {
		env = append(env, EnvRole+"="+role)
	}
	env = append(env, d.endpointVariables()...)
	if d.hasTLS() {
		files := tlsFiles(d.Dir)
		env = append(env, EnvTLSCert+"="+files.Cert, EnvTLSKey+"="+files.Key, EnvTLSPeers+"="+files.Peers)
	}
	return slices.Clip(env), nil // so that callers can append to it more than once
}

func (d *Data) endpointVariables() []string {
	env := []string{EnvEndpoints + "=" + commas(d.Self.Endpoints)}
	for n, e := range d.Self.Endpoints {
		env = append(env, EnvEndpointOf+d.portVariable(n)+"="+string(e))
	}
	for n := range d.Self.Endpoints {
		list, err := d.endpoints(n)
		if err != nil { // somebody has fewer
			break
		}
		env = append(env, EnvEndpointsOf+d.portVariable(n)+"="+commas(list))
	}
	return env
}

// portVariable returns what the name of a port's variable ends in.
func (d *Data) portVariable(n int) string {
	if n >= len(d.PortNames) {
		return strconv.Itoa(n)
	}
	return strings.ToUpper(strings.ReplaceAll(d.PortNames[n], "-", "_"))
}

func commas(endpoints []Endpoint) string {
	text, _ := joinList(endpoints, ",") // a list
	return text
}
