package view

import (
	"encoding/pem"

	"github.com/xlattice/xlreg"
)

// Cluster is a cluster as scripts read it.
type Cluster struct {
	ID            string             `json:"id"`
	Name          xlreg.Name         `json:"name"`
	Size          int                `json:"size"`
	EndpointCount int                `json:"endpointCount"`
	Attrs         xlreg.ClusterAttrs `json:"attrs"`
}

// Member is a member as scripts read it. Keys are PEM.
type Member struct {
	Index      int              `json:"index"`
	ID         string           `json:"id"`
	Name       xlreg.Name       `json:"name"`
	Endpoints  []xlreg.Endpoint `json:"endpoints"`
	CommsKey   string           `json:"commsKey"`
	SigKey     string           `json:"sigKey"`
	Attrs      xlreg.NodeAttrs  `json:"attrs"`
	Unverified bool             `json:"unverified,omitempty"` // registered or read over a classic carrier
}

// Roster is a roster as scripts read it.
type Roster struct {
	Cluster Cluster  `json:"cluster"`
	Members []Member `json:"members"`
}

// NewCluster returns c as scripts read it.
func NewCluster(c *xlreg.Cluster) Cluster {
	return Cluster{ID: c.ID.String(), Name: c.Name, Size: c.MaxSize, EndpointCount: c.EndpointCount, Attrs: c.Attrs}
}

// NewRoster returns the roster of c as scripts read it, still without members.
func NewRoster(c *xlreg.Cluster) *Roster {
	return &Roster{Cluster: NewCluster(c), Members: []Member{}}
}

// Add puts a member at the end of the roster.
func (r *Roster) Add(m *xlreg.Member, verified bool) {
	t := &m.Token
	r.Members = append(r.Members, Member{
		Index: m.Index, ID: t.ID.String(), Name: t.Name, Endpoints: List(t.Endpoints),
		CommsKey: KeyPEM(string(t.CommsKey)), SigKey: KeyPEM(string(t.SigKey)),
		Attrs: t.Attrs, Unverified: !verified,
	})
}

// KeyPEM returns a public key in DER as PEM.
func KeyPEM(der string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(der)}))
}

// List returns a copy of list that JSON writes as an array even if it is empty.
func List[T any](list []T) []T { return append([]T{}, list...) }
