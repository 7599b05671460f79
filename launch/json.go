package launch

import (
	"bytes"
	"encoding/json"
	"encoding/pem"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/client"
)

// ClusterJSON is a cluster as scripts read it.
type ClusterJSON struct {
	ID            string             `json:"id"`
	Name          xlreg.Name         `json:"name"`
	Size          int                `json:"size"`
	EndpointCount int                `json:"endpointCount"`
	Attrs         xlreg.ClusterAttrs `json:"attrs"`
}

// MemberJSON is a member as scripts read it. Keys are PEM.
type MemberJSON struct {
	Index      int              `json:"index"`
	ID         string           `json:"id"`
	Name       xlreg.Name       `json:"name"`
	Endpoints  []xlreg.Endpoint `json:"endpoints"`
	CommsKey   string           `json:"commsKey"`
	SigKey     string           `json:"sigKey"`
	Attrs      xlreg.NodeAttrs  `json:"attrs"`
	Unverified bool             `json:"unverified,omitempty"` // registered or read over a classic carrier
}

// RosterJSON is a roster as scripts read it.
type RosterJSON struct {
	Cluster ClusterJSON  `json:"cluster"`
	Members []MemberJSON `json:"members"`
}

// NewClusterJSON returns c as scripts read it.
func NewClusterJSON(c *xlreg.Cluster) ClusterJSON {
	return ClusterJSON{ID: c.ID.String(), Name: c.Name, Size: c.MaxSize, EndpointCount: c.EndpointCount, Attrs: c.Attrs}
}

// NewRosterJSON returns r as scripts read it.
func NewRosterJSON(r *client.Roster) RosterJSON {
	out := RosterJSON{Cluster: NewClusterJSON(&r.Cluster), Members: []MemberJSON{}}
	for i := range r.Members {
		m := &r.Members[i]
		t := &m.Token
		out.Members = append(out.Members, MemberJSON{
			Index: m.Index, ID: t.ID.String(), Name: t.Name, Endpoints: append([]xlreg.Endpoint{}, t.Endpoints...),
			CommsKey: KeyPEM(string(t.CommsKey)), SigKey: KeyPEM(string(t.SigKey)),
			Attrs: t.Attrs, Unverified: !m.Verified,
		})
	}
	return out
}

// KeyPEM returns a public key in DER as PEM.
func KeyPEM(der string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(der)}))
}

// jsonFormat writes the roster.
func jsonFormat(d *Data) (string, error) {
	if d.roster == nil { // a sample
		return "{}\n", nil
	}
	return encodeRoster(d.roster)
}

func encodeRoster(r *client.Roster) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(NewRosterJSON(r))
	return b.String(), err
}
