package ticket

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
	"github.com/xlattice/xlreg/regcred"
)

const registryLine = "xlreg://203.0.113.7:56789,registry.example.org:1/?sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

var nodeKeys = sync.OnceValue(func() []xlreg.SigKey {
	var all []xlreg.SigKey
	for range 2 {
		set, err := keys.Generate(keys.P256, 0)
		if err != nil {
			panic(err)
		}
		all = append(all, set.SigKey)
	}
	return all
})

func registry(t testing.TB) *regcred.Target {
	t.Helper()
	target, err := regcred.ParseURL(registryLine)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func ownerTicket(t testing.TB) *Ticket {
	t.Helper()
	owner, err := NewOwner(registry(t), "web", 5, 2)
	if err != nil {
		t.Fatal(err)
	}
	return owner
}

// kinds are tickets of one cluster, of every kind.
func kinds(t testing.TB) map[Kind]*Ticket {
	t.Helper()
	owner := ownerTicket(t)
	invite, err := owner.NewInvite(3, time.UnixMilli(1767441600123))
	if err != nil {
		t.Fatal(err)
	}
	admit, err := owner.NewAdmit(nodeKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	return map[Kind]*Ticket{KindOwner: owner, KindInvite: invite, KindAdmit: admit, KindReader: owner.Reader()}
}

func TestTickets(t *testing.T) {
	for kind, tk := range kinds(t) {
		if tk.Kind() != kind {
			t.Errorf("%v: is of kind %v", kind, tk.Kind())
		}
		if !strings.HasPrefix(tk.Text(), registryLine+"&cluster=web&size=5&endpoints=2&") {
			t.Errorf("%v: written as %s", kind, tk.Text())
		}
		again, err := Parse(tk.Text())
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		if again.Text() != tk.Text() || again.Kind() != kind || again.Key != tk.Key || again.Ref() != tk.Ref() {
			t.Errorf("%v: read again as %v", kind, again)
		}
		if !reflect.DeepEqual(again.Registry, tk.Registry) || !reflect.DeepEqual(again.Invite(), tk.Invite()) {
			t.Errorf("%v: read again at %v with %v", kind, again.Registry, again.Invite())
		}
	}
}

// Who holds which ticket can do what.
func TestWhatTicketsAreFor(t *testing.T) {
	mine, other := nodeKeys()[0], nodeKeys()[1]
	for kind, want := range map[Kind]struct {
		mine, other error
		creates     bool
	}{
		KindOwner:  {nil, nil, true},
		KindInvite: {nil, nil, false},
		KindAdmit:  {nil, ErrOtherKey, false},
		KindReader: {ErrReader, ErrReader, false},
	} {
		tk := kinds(t)[kind]
		for key, want := range map[xlreg.SigKey]error{mine: want.mine, other: want.other} {
			a, err := tk.Admission(key)
			if !errors.Is(err, want) {
				t.Errorf("%v: %v", kind, err)
			}
			if err == nil && keys.VerifyAdmission("web", tk.Key, key, a) != nil {
				t.Errorf("%v: the admission does not verify", kind)
			}
		}
		spec := tk.Spec()
		if creates := spec.OwnerSig != nil && keys.VerifyCreate(&spec) == nil; creates != want.creates {
			t.Errorf("%v: creates the cluster: %v", kind, creates)
		}
		if spec.Name != "web" || spec.MaxSize != 5 || spec.EndpointCount != 2 || spec.Key != tk.Key || spec.Attrs != 0 {
			t.Errorf("%v: got %+v", kind, spec)
		}
		_, inviteErr := tk.NewInvite(1, time.Time{})
		_, admitErr := tk.NewAdmit(mine)
		for _, err := range []error{inviteErr, admitErr} {
			if want.creates == errors.Is(err, ErrNotOwner) {
				t.Errorf("%v: %v", kind, err)
			}
		}
		if (tk.Owner() != nil) != want.creates {
			t.Errorf("%v: has the cluster's key", kind)
		}
	}
}

func TestNewOwnerRefuses(t *testing.T) {
	r := registry(t)
	for name, made := range map[string]func() (*Ticket, error){
		"no name":        func() (*Ticket, error) { return NewOwner(r, "", 5, 1) },
		"name":           func() (*Ticket, error) { return NewOwner(r, "a b", 5, 1) },
		"size 1":         func() (*Ticket, error) { return NewOwner(r, "web", 1, 1) },
		"size 1025":      func() (*Ticket, error) { return NewOwner(r, "web", 1025, 1) },
		"no endpoint":    func() (*Ticket, error) { return NewOwner(r, "web", 5, 0) },
		"17 endpoints":   func() (*Ticket, error) { return NewOwner(r, "web", 5, 17) },
		"no registry":    func() (*Ticket, error) { return NewOwner(&regcred.Target{Fingerprint: r.Fingerprint}, "web", 5, 1) },
		"no fingerprint": func() (*Ticket, error) { return NewOwner(&regcred.Target{Endpoints: r.Endpoints}, "web", 5, 1) },
	} {
		if tk, err := made(); err == nil || tk != nil {
			t.Errorf("%s: made", name)
		}
	}
	if _, err := ownerTicket(t).NewInvite(1001, time.Time{}); err == nil {
		t.Error("an invite for 1001")
	}
	if _, err := ownerTicket(t).NewAdmit("key"); err == nil {
		t.Error("admitted what is no key")
	}
}

// A ticket is taken in whatever way it was pasted.
func TestLoadWhatWasPasted(t *testing.T) {
	want := ownerTicket(t).Text()
	var wide strings.Builder
	for _, unit := range utf16.Encode([]rune("\ufeff" + want + "\r\n")) {
		wide.Write([]byte{byte(unit), byte(unit >> 8)})
	}
	for name, text := range map[string]string{
		"as it is": want, "line end": want + "\r\n", "quotes": "'" + want + "'", "blanks": "\t " + want + " ",
		"wrapped": want[:100] + "\n    " + want[100:], "assigned": "export XLREG_TICKET='" + want + "'\n", "mark": "\ufeff" + want,
		"UTF-16": wide.String(),
	} {
		tk, err := Load(text)
		if err != nil || tk.Text() != want {
			t.Errorf("%s: %v", name, err)
		}
		tk, err = Read(strings.NewReader(text))
		if err != nil || tk.Text() != want {
			t.Errorf("%s, read: %v", name, err)
		}
	}
	for name, text := range map[string]string{"nothing": "", "a word": "ticket", "too long": strings.Repeat(" ", 30<<10) + want} {
		if tk, err := Load(text); err == nil {
			t.Errorf("%s: %v", name, tk)
		}
		if tk, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s, read: %v", name, tk)
		}
	}
}

func TestLineOfARegistryIsNoTicket(t *testing.T) {
	if _, err := Parse(registryLine); !errors.Is(err, ErrNoTicket) {
		t.Errorf("got %v", err)
	}
	if _, err := regcred.ParseURL(ownerTicket(t).Text()); !errors.Is(err, regcred.ErrTicket) {
		t.Errorf("got %v", err)
	}
}

// An invite of another cluster, or one that was changed, admits nobody.
func TestInvitesThatWereChanged(t *testing.T) {
	text := kinds(t)[KindInvite].Text()
	for name, change := range map[string]*strings.Replacer{
		"name": strings.NewReplacer("cluster=web", "cluster=wed"), "end": strings.NewReplacer("until=1767441600123", "until=1767441600124"),
		"uses": strings.NewReplacer("uses=3", "uses=4"), "no uses": strings.NewReplacer("&uses=3", ""),
	} {
		tk, err := Parse(change.Replace(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := tk.Admission(nodeKeys()[0]); err == nil {
			t.Errorf("%s: admits", name)
		}
	}
}

// secretsOf are the parameters of a ticket that nobody else may see.
func secretsOf(t testing.TB, text string) []string {
	t.Helper()
	var secrets []string
	_, query, _ := strings.Cut(text, "/?")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	for _, param := range []string{"owner", "invite"} {
		if values.Get(param) != "" {
			secrets = append(secrets, values.Get(param))
		}
	}
	return secrets
}

// holder has a ticket where printing finds it by reflection alone.
type holder struct{ ticket Ticket }

func TestTicketsAreNotShown(t *testing.T) {
	for kind, tk := range kinds(t) {
		secrets := secretsOf(t, tk.Text())
		if want := kind == KindOwner || kind == KindInvite; (len(secrets) == 1) != want {
			t.Fatalf("%v: %d secrets", kind, len(secrets))
		}
		var out strings.Builder
		for _, value := range []any{tk, *tk, []*Ticket{tk}, map[string]any{"ticket": *tk}, holder{*tk}, &holder{*tk}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%p", "%z"} {
				fmt.Fprintf(&out, verb+"\n", value)
			}
			data, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(data)
			for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
				slog.New(handler).Info("message", "ticket", value)
			}
		}
		noSecrets(t, kind.String(), out.String(), secrets)
		if !strings.Contains(out.String(), kind.String()+" ticket of cluster web (5 members, key "+keys.FormatClusterKey(tk.Key)+")") {
			t.Errorf("%v: not even what is no secret is shown", kind)
		}
	}
}

// noSecrets looks for secrets, and for pieces of them that are long enough to be one.
func noSecrets(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		for at := range len(secret) - 7 {
			if strings.Contains(text, secret[at:at+8]) {
				t.Fatalf("%s shows a part of a secret", what)
			}
		}
	}
}

// However a ticket is damaged, and wherever it is taken for something else, no error shows
// what is secret in it.
func TestErrorsShowNoSecrets(t *testing.T) {
	for _, tk := range kinds(t) {
		text := tk.Text()
		secrets := secretsOf(t, text)
		damaged := []string{text + "&", text + "=", text + "A", "x" + text, "ticket: " + text, text + "&owner=1"}
		for at := range text {
			damaged = append(damaged, text[:at]+text[at+1:], text[:at]+"&"+text[at:], text[:at]+"="+text[at:], text[:at]+" "+text[at:], text[:at]+"!"+text[at+1:])
		}
		for _, text := range damaged {
			for what, read := range map[string]func() error{
				"Parse":            func() error { _, err := Parse(text); return err },
				"Load":             func() error { _, err := Load(text); return err },
				"regcred.ParseURL": func() error { _, err := regcred.ParseURL(text); return err },
				"regcred.Load":     func() error { _, err := regcred.Load(text); return err },
			} {
				if err := read(); err != nil {
					noSecrets(t, what, err.Error(), secrets)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tk := range kinds(f) {
		f.Add(tk.Text())
	}
	f.Add(registryLine)
	f.Fuzz(func(t *testing.T, text string) {
		tk, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(tk.Text())
		if err != nil {
			t.Fatalf("written and not read: %v", err)
		}
		if again.Text() != tk.Text() || again.Kind() != tk.Kind() || again.Ref() != tk.Ref() || again.Size != tk.Size {
			t.Errorf("written and read again as %v, not as %v", again, tk)
		}
		if err := tk.check(); err != nil {
			t.Error(err)
		}
	})
}
