package launch

import (
	"fmt"
	"strings"

	"github.com/xlattice/xlreg"
)

// Shape is what is known of a cluster before there is one.
type Shape struct {
	Size      int            // members; 0 if unknown
	Endpoints int            // of each member; 0 if unknown
	Own       int            // endpoints of the member itself; 0 is Endpoints
	PortNames []string       // of the endpoints
	Index     int            // of the member itself; has to be below Size
	Roles     map[int]string // by index; nil: which roles there are is not known
	NoSecret  bool           // templates that ask for a secret will find none
	NoTLS     bool           // the members do without TLS
}

// Sample returns a cluster of made-up members, for trying templates out on before
// anything is started. What is unknown of its shape is as large as it can be, so
// that no template fails on it that could do later.
func Sample(s Shape) *Data {
	if s.Size == 0 {
		s.Size = xlreg.MaxClusterSize
	}
	if s.Endpoints == 0 {
		s.Endpoints = xlreg.MaxEndpoints
	}
	if s.Own == 0 {
		s.Own = s.Endpoints
	}
	d := &Data{
		Cluster:   ClusterData{Name: "sample", ID: strings.Repeat("0", 2*xlreg.LongIDLen), Size: s.Size},
		Dir:       "/sample",
		Registry:  "xlreg://192.0.2.1:56789/?sig=sample",
		Sum:       "samp-lesa-mple-samp-lesa-mple-samp-lesa",
		PortNames: s.PortNames, NoTLS: s.NoTLS, sample: true, labels: s.Roles != nil,
	}
	if !s.NoSecret {
		d.SetSecret("sample")
	}
	for i := range s.Size {
		count := s.Endpoints
		if i == s.Index {
			count = s.Own
		}
		m := sampleMember(i, count)
		if role := s.Roles[i]; role != "" {
			m.Labels = map[string]string{RoleLabel: role}
		}
		m.cluster = d
		d.Members = append(d.Members, m)
	}
	d.Self = d.Members[s.Index]
	return d
}

func sampleMember(index, endpoints int) *MemberData {
	m := &MemberData{
		Index: index, Name: fmt.Sprintf("m%d", index), ID: strings.Repeat("0", 2*xlreg.LongIDLen),
		SigFingerprint: "SHA256:sample", Verified: true,
	}
	for i := range endpoints {
		m.Endpoints = append(m.Endpoints, Endpoint(fmt.Sprintf("%s:%d", sampleAddress, 1024+index*endpoints+i)))
	}
	return m
}

// sampleAddress is one that no machine has (RFC 5737).
const sampleAddress = "192.0.2.1"
