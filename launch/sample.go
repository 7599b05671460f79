package launch

import (
	"fmt"
	"strings"

	"github.com/xlattice/xlreg"
)

// Shape is what is known of a cluster before there is one.
type Shape struct {
	Size      int // members; 0 if unknown
	Endpoints int // of each member; 0 if unknown
	Own       int // endpoints of the member itself; 0 is Endpoints
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
		Cluster:  ClusterData{Name: "sample", ID: strings.Repeat("0", 2*xlreg.LongIDLen), Size: s.Size},
		Dir:      "/sample",
		Registry: "xlreg://192.0.2.1:56789/?sig=sample",
		Sum:      "samp-lesa-mple-samp-lesa-mple-samp-lesa",
	}
	for i := range s.Size {
		count := s.Endpoints
		if i == 0 {
			count = s.Own
		}
		d.Members = append(d.Members, sampleMember(i, count))
	}
	d.Self = d.Members[0]
	return d
}

func sampleMember(index, endpoints int) *MemberData {
	m := &MemberData{
		Index: index, Name: fmt.Sprintf("m%d", index), ID: strings.Repeat("0", 2*xlreg.LongIDLen),
		SigFingerprint: "SHA256:sample", Verified: true,
	}
	for i := range endpoints {
		m.Endpoints = append(m.Endpoints, Endpoint(fmt.Sprintf("192.0.2.1:%d", 1024+index*endpoints+i)))
	}
	return m
}
