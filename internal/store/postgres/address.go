package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	errPassword = errors.New("a password does not belong in the URL of a store: put it into a file")
	errURL      = errors.New("the URL of the store is not like postgres://user@host:5432/database?schema=name")
)

// defaultSchema is where the tables are if the URL does not say.
const defaultSchema = "xlreg"

// schemaForm is what a schema may be called: a name that needs no quotes, and is short
// enough to be a part of others.
var schemaForm = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// address is what the URL of a store says.
type address struct {
	user     string // as in the URL, still escaped
	hosts    []string
	database string
	schema   string
	sslmode  string // empty if not said
}

// parseAddress takes a URL apart. The errors quote nothing that could be a password
// which went astray.
func parseAddress(raw string) (address, error) {
	rest, ok := cutScheme(raw)
	if !ok {
		return address{}, errURL
	}
	rest, query, _ := strings.Cut(rest, "?")
	place, database, _ := strings.Cut(rest, "/")
	user, hosts, hasUser := strings.Cut(place, "@")
	if !hasUser {
		user, hosts = "", place
	}
	if strings.Contains(user, ":") {
		return address{}, errPassword
	}
	a := address{user: user, hosts: strings.Split(hosts, ","), database: database, schema: defaultSchema}
	if database == "" || strings.ContainsAny(database, "/@:") || slices.ContainsFunc(a.hosts, notAHost) {
		return address{}, errURL
	}
	return a, a.addQuery(query)
}

func cutScheme(raw string) (string, bool) {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(raw, scheme); ok {
			return rest, true
		}
	}
	return "", false
}

func notAHost(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return host == "" || strings.ContainsAny(host, ":@[]")
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err != nil || name == "" || strings.ContainsRune(name, '@')
}

// addQuery takes the parameters that there are; those of libpq that would change how
// transactions work, or that hold secrets, are not among them.
func (a *address) addQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errURL
	}
	for name, value := range values {
		switch {
		case len(value) > 1:
			return fmt.Errorf("the URL of the store has %q more than once", name)
		case name == "schema" && schemaForm.MatchString(value[0]):
			a.schema = value[0]
		case name == "schema":
			return errors.New("the schema in the URL of the store may have lower-case letters, digits and underscores, 40 at most")
		case name == "sslmode":
			a.sslmode = value[0]
		case name == "password" || name == "sslpassword":
			return errPassword
		default:
			return fmt.Errorf("the URL of the store has the parameter %q, which is not known", name)
		}
	}
	return nil
}

// connString is the URL for the library: with what this package decides, and without
// what it takes care of itself.
func (a *address) connString(o Options) string {
	query := url.Values{"sslmode": {a.tlsMode(o)}}
	for name, value := range map[string]string{"sslrootcert": o.CA, "sslcert": o.Cert, "sslkey": o.Key} {
		if value != "" {
			query.Set(name, value)
		}
	}
	user := a.user
	if o.User != "" {
		user = url.PathEscape(o.User)
	}
	if user != "" {
		user += "@"
	}
	return "postgres://" + user + strings.Join(a.hosts, ",") + "/" + a.database + "?" + query.Encode()
}

// tlsMode is what was said; else nobody is believed who does not prove to be the server
// that was meant, unless no machine lies between.
func (a *address) tlsMode(o Options) string {
	local := !slices.ContainsFunc(a.hosts, func(host string) bool { return !isLocal(host) })
	switch {
	case a.sslmode != "":
		return a.sslmode
	case local && o.CA == "":
		return "prefer"
	}
	return "verify-full"
}

// isLocal reports whether host is this machine for certain: a loopback address, or the
// directory of a Unix socket.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" || strings.HasPrefix(strings.ToLower(host), "%2f") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}
