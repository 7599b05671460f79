package view

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/xlattice/xlreg"
)

func example() (*xlreg.Cluster, *xlreg.Member) {
	c := &xlreg.Cluster{
		ID: xlreg.ClusterID(strings.Repeat("\xab", xlreg.LongIDLen)), Name: "web", MaxSize: 3, EndpointCount: 2,
		Attrs: xlreg.ClusterUnique,
	}
	m := &xlreg.Member{Index: 1, Token: xlreg.Token{
		Name: "a", ID: xlreg.NodeID(strings.Repeat("\x11", xlreg.LongIDLen)),
		CommsKey: "one", SigKey: "<two>", Endpoints: []xlreg.Endpoint{"192.0.2.1:1", "[::1]:2"},
	}}
	return c, m
}

func TestRosterJSON(t *testing.T) {
	c, m := example()
	r := NewRoster(c)
	var b bytes.Buffer
	if err := WriteJSON(&b, r); err != nil || !strings.Contains(b.String(), `"members": []`) {
		t.Errorf("without members: %v, %s", err, &b)
	}
	r.Add(m, true)
	m.Token.Endpoints = nil
	r.Add(m, false)
	b.Reset()
	if err := WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	want := `{
  "cluster": {
    "id": "` + strings.Repeat("ab", 32) + `",
    "name": "web",
    "size": 3,
    "endpointCount": 2,
    "attrs": 4
  },
  "members": [
    {
      "index": 1,
      "id": "` + strings.Repeat("11", 32) + `",
      "name": "a",
      "endpoints": [
        "192.0.2.1:1",
        "[::1]:2"
      ],
      "commsKey": "-----BEGIN PUBLIC KEY-----\nb25l\n-----END PUBLIC KEY-----\n",
      "sigKey": "-----BEGIN PUBLIC KEY-----\nPHR3bz4=\n-----END PUBLIC KEY-----\n",
      "attrs": 0
    },
    {
      "index": 1,
      "id": "` + strings.Repeat("11", 32) + `",
      "name": "a",
      "endpoints": [],
      "commsKey": "-----BEGIN PUBLIC KEY-----\nb25l\n-----END PUBLIC KEY-----\n",
      "sigKey": "-----BEGIN PUBLIC KEY-----\nPHR3bz4=\n-----END PUBLIC KEY-----\n",
      "attrs": 0,
      "unverified": true
    }
  ]
}
`
	if b.String() != want {
		t.Errorf("got %s\nwant %s", &b, want)
	}
}

func TestJSONEscapesNothing(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, "<a> & b"); err != nil || b.String() != "\"<a> & b\"\n" {
		t.Errorf("%v, %s", err, &b)
	}
}

func TestTable(t *testing.T) {
	_, m := example()
	var b bytes.Buffer
	err := WriteTable(&b, []Row{
		{Index: 0, Name: "a", ID: m.Token.ID, Endpoints: m.Token.Endpoints, Fingerprint: "SHA256:x", Verified: true},
		{Index: 10, Name: "longer", ID: m.Token.ID, Fingerprint: "SHA256:y"},
	})
	want := `INDEX  NAME    ID             ENDPOINTS            SIG KEY   VERIFIED
0      a       111111111111…  192.0.2.1:1,[::1]:2  SHA256:x  yes
10     longer  111111111111…  -                    SHA256:y  no
`
	if err != nil || b.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, &b, want)
	}
}

func TestFields(t *testing.T) {
	c, _ := example()
	v := NewCluster(c)
	var b bytes.Buffer
	err := WriteFields(&b, v.Fields())
	want := "name       web\nid         " + strings.Repeat("ab", 32) + "\nsize       3\nendpoints  2\nattrs      0x4\n"
	if err != nil || b.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, &b, want)
	}
}

func TestCountMembers(t *testing.T) {
	if got := CountMembers(2, 0); got != "2 members" {
		t.Error(got)
	}
	if got := CountMembers(2, 3); got != "2 of 3 members" {
		t.Error(got)
	}
}

// What cannot be written must not be cut short in silence.
func TestWritersThatFail(t *testing.T) {
	for name, err := range map[string]error{
		"JSON":   WriteJSON(full{}, 1),
		"fields": WriteFields(full{}, []Field{{"a", "b"}}),
		"table":  WriteTable(full{}, nil),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var errFull = errors.New("no room")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
