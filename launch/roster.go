package launch

import (
	"bytes"

	"github.com/xlattice/xlreg/client"
	"github.com/xlattice/xlreg/internal/view"
)

// EncodeRoster returns r as scripts read it, in JSON: what roster.json holds, and what
// the program prints with -o json.
func EncodeRoster(r *client.Roster) ([]byte, error) {
	v := view.NewRoster(&r.Cluster)
	if r.State.Revision > 0 {
		v.State = &view.State{Epoch: r.State.Epoch, Revision: r.State.Revision, Sum: r.ShortSum(), Pinned: r.Pinned}
	}
	for i := range r.Members {
		m := &r.Members[i]
		v.Add(&m.Member, m.Verified, m.Labels())
	}
	var b bytes.Buffer
	err := view.WriteJSON(&b, v)
	return b.Bytes(), err
}

// jsonFormat writes the roster.
func jsonFormat(d *Data) (string, error) {
	if d.roster == nil { // a sample
		return "{}\n", nil
	}
	text, err := d.text()
	return string(text), err
}
