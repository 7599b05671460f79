package view

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
	r.Add(m, true, nil)
	m.Token.Endpoints = nil
	r.Add(m, false, nil)
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
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	rows := []Row{
		{Index: 0, Name: "a", ID: m.Token.ID, Endpoints: m.Token.Endpoints, Fingerprint: "SHA256:x", Verified: true, Joined: now.Add(-5 * time.Second)},
		{Index: 10, Name: "longer", ID: m.Token.ID, Fingerprint: "SHA256:y"},
	}
	id := strings.Repeat("11", xlreg.LongIDLen)
	lively := []Row{
		{Index: 0, Name: "a", ID: m.Token.ID, Endpoints: m.Token.Endpoints, Fingerprint: "SHA256:x", Verified: true, Joined: now.Add(-time.Hour), Seen: now.Add(-3 * time.Second), Labels: []string{"role=db", "zone=a"}},
		{Index: 1, Name: "b", ID: m.Token.ID, Endpoints: m.Token.Endpoints[:1], Fingerprint: "SHA256:y", Verified: true, Joined: now.Add(-time.Hour)},
	}
	for layout, want := range map[Layout]string{
		{Now: now}: `INDEX  NAME  ENDPOINTS            JOINED  SEEN    LABELS          VERIFIED
0      a     192.0.2.1:1,[::1]:2  1h ago  3s ago  role=db,zone=a  yes
1      b     192.0.2.1:1          1h ago  -       -               yes
`,
		{Now: now, Width: 50, Fold: true}: `0  a
   192.0.2.1:1
   [::1]:2
   role=db
   zone=a
   joined 1h ago, seen 3s ago, verified: yes
1  b
   192.0.2.1:1
   joined 1h ago, verified: yes
`,
	} {
		if got := layOut(lively, layout); got != want {
			t.Errorf("%+v: got\n%s\nwant\n%s", layout, got, want)
		}
	}
	cases := []struct {
		name   string
		layout Layout
		want   string
	}{
		{"room", Layout{Now: now}, `INDEX  NAME    ENDPOINTS            JOINED  VERIFIED
0      a       192.0.2.1:1,[::1]:2  5s ago  yes
10     longer  -                    -       no
`},
		{"little room", Layout{Width: 50, Fold: true, Now: now}, `INDEX  NAME    ENDPOINTS    JOINED  VERIFIED
0      a       192.0.2.1:1  5s ago  yes
               [::1]:2
10     longer  -            -       no
`},
		{"no room", Layout{Width: 30, Fold: true, Now: now}, `0  a
   192.0.2.1:1
   [::1]:2
   joined 5s ago, verified: yes
10  longer
   joined -, verified: no
`},
		{"no room for a program", Layout{Width: 30, Now: now}, `INDEX  NAME    ENDPOINTS    JOINED  VERIFIED
0      a       192.0.2.1:1  5s ago  yes
               [::1]:2
10     longer  -            -       no
`},
		{"everything", Layout{Width: 50, Fold: true, Wide: true, Now: now}, `INDEX  NAME    ID                                                                ENDPOINTS            SIG KEY   JOINED                VERIFIED
0      a       ` + id + `  192.0.2.1:1,[::1]:2  SHA256:x  2026-03-04T11:59:55Z  yes
10     longer  ` + id + `  -                    SHA256:y  -                     no
`},
	}
	for _, c := range cases {
		var b bytes.Buffer
		if err := WriteTable(&b, rows, c.layout); err != nil || b.String() != c.want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", c.name, err, &b, c.want)
		}
	}
}

// A table of 64 members with the longest IPv4 addresses fits a window of 50 columns.
func TestTableFits(t *testing.T) {
	now := time.Now()
	for _, width := range []int{50, 80} {
		rows := make([]Row, xlreg.MaxClusterSize)
		for i := range rows {
			rows[i] = Row{
				Index: i, Name: xlreg.Name(fmt.Sprintf("member%d", i)), Verified: true, Joined: now.Add(-time.Hour * 24 * 3000),
				Endpoints: []xlreg.Endpoint{"192.168.100.100:65535", "192.168.100.101:65535"},
			}
		}
		var b bytes.Buffer
		if err := WriteTable(&b, rows, Layout{Width: width, Fold: true, Now: now}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(b.String(), "\n") {
			if utf8.RuneCountInString(line) > width {
				t.Errorf("%d columns: %q", width, line)
			}
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Now()
	for ago, want := range map[time.Duration]string{
		-time.Minute: "0s ago", 59 * time.Second: "59s ago", time.Minute: "1m ago", 90 * time.Minute: "1h ago",
		47 * time.Hour: "47h ago", 48 * time.Hour: "2d ago",
	} {
		if got := Age(now, now.Add(-ago)); got != want {
			t.Errorf("%v: %q, want %q", ago, got, want)
		}
	}
}

func TestShortID(t *testing.T) {
	if got := ShortID(xlreg.NodeID(strings.Repeat("\xab", xlreg.ShortIDLen))); got != "abababababab…" {
		t.Error(got)
	}
	if got := ShortID(xlreg.NodeID("\xab")); got != "ab" {
		t.Error(got)
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
		"table":  WriteTable(full{}, nil, Layout{}),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var errFull = errors.New("no room")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
