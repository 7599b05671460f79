package regcred

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

// The words of regCred.dat, in their order. Deployed clients refuse any other.
const (
	wordOpen      = "regCred {"
	wordName      = "Name"
	wordID        = "ID"
	wordComms     = "CommsPubKey"
	wordSig       = "SigPubKey"
	wordEndpoints = "EndPoints {"
	wordEndpoint  = "TcpEndPoint"
	wordClose     = "}"
	wordVersion   = "Version"
)

// Parse reads the content of a regCred.dat. An error names the line.
func Parse(data []byte) (*xlreg.Credentials, error) {
	if len(data) > maxLen {
		return nil, fmt.Errorf("more than %d bytes", maxLen)
	}
	p := &parser{rest: plain(data)}
	c, err := p.cred()
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", max(p.line, 1), err)
	}
	return c, nil
}

// parser goes through the lines that are not blank.
type parser struct {
	rest []byte
	line int    // number of the line that text is, from 1
	text string // without the white space around it
}

// next goes to the next line that is not blank, and returns false at the end.
func (p *parser) next() bool {
	for len(p.rest) > 0 {
		line, rest, _ := bytes.Cut(p.rest, []byte("\n"))
		p.rest = rest
		p.line++
		if p.text = strings.Trim(string(line), " \t\r\u00a0\ufeff"); p.text != "" {
			return true
		}
	}
	p.text = ""
	return false
}

// want goes to the next line, which has to be word and nothing else.
func (p *parser) want(word string) error {
	if !p.next() {
		return fmt.Errorf("end of file where %q should be", word)
	}
	if p.text != word {
		return fmt.Errorf("%.40q where %q should be", p.text, word)
	}
	return nil
}

// value goes to the next line, which has to be a field with this key.
func (p *parser) value(key string) (string, error) {
	if !p.next() {
		return "", fmt.Errorf("end of file where %q should be", key)
	}
	value, ok := strings.CutPrefix(p.text, key+": ")
	if !ok {
		return "", fmt.Errorf("%.40q where %q should be", p.text, key)
	}
	return value, nil
}

func (p *parser) cred() (*xlreg.Credentials, error) {
	c := new(xlreg.Credentials)
	if err := p.want(wordOpen); err != nil {
		return nil, err
	}
	if err := p.name(c); err != nil {
		return nil, err
	}
	if err := p.id(c); err != nil {
		return nil, err
	}
	if err := p.keys(c); err != nil {
		return nil, err
	}
	if err := p.endpoints(c); err != nil {
		return nil, err
	}
	if err := p.version(c); err != nil {
		return nil, err
	}
	if err := p.want(wordClose); err != nil {
		return nil, err
	}
	if p.next() {
		return nil, fmt.Errorf("%.40q after the end", p.text)
	}
	return c, nil
}

func (p *parser) name(c *xlreg.Credentials) error {
	value, err := p.value(wordName)
	if err != nil {
		return err
	}
	c.Name, err = xlreg.ParseName(value)
	return err
}

func (p *parser) id(c *xlreg.Credentials) error {
	value, err := p.value(wordID)
	if err != nil {
		return err
	}
	c.ID, err = xlreg.ParseNodeID(value)
	return err
}

func (p *parser) keys(c *xlreg.Credentials) error {
	comms, err := p.key(wordComms)
	if err != nil {
		return err
	}
	sig, err := p.key(wordSig)
	if err != nil {
		return err
	}
	c.CommsKey, c.SigKey = xlreg.CommsKey(comms), xlreg.SigKey(sig)
	return nil
}

// key reads a public key as SSH writes it in one line, perhaps with a comment, and
// returns it in DER.
func (p *parser) key(word string) ([]byte, error) {
	value, err := p.value(word)
	if err != nil {
		return nil, err
	}
	key, err := keys.ParseSSH(value)
	if err == nil {
		err = checkKind(key)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", word, err)
	}
	return key.DER(), nil
}

func (p *parser) endpoints(c *xlreg.Credentials) error {
	if err := p.want(wordEndpoints); err != nil {
		return err
	}
	for {
		value, err := p.value(wordEndpoint)
		if err != nil && p.text == wordClose {
			break
		}
		if err != nil {
			return err
		}
		e, err := xlreg.ParseEndpoint(value)
		if err != nil {
			return err
		}
		if len(c.Endpoints) == xlreg.MaxEndpoints {
			return fmt.Errorf("more than %d endpoints", xlreg.MaxEndpoints)
		}
		c.Endpoints = append(c.Endpoints, e)
	}
	if len(c.Endpoints) == 0 {
		return errors.New("no endpoint")
	}
	return nil
}

func (p *parser) version(c *xlreg.Credentials) error {
	value, err := p.value(wordVersion)
	if err != nil {
		return err
	}
	c.Version, err = xlreg.ParseVersion(value)
	return err
}

// Marshal returns the content of a regCred.dat, laid out as deployed writers do it.
func Marshal(c *xlreg.Credentials) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	comms, err := marshalKey(c.CommsKey)
	if err != nil {
		return nil, fmt.Errorf("comms key: %w", err)
	}
	sig, err := marshalKey(c.SigKey)
	if err != nil {
		return nil, fmt.Errorf("sig key: %w", err)
	}
	lines := []string{
		wordOpen,
		"    " + wordName + ": " + string(c.Name),
		"    " + wordID + ": " + c.ID.String(),
		"    " + wordComms + ": " + comms,
		"",
		"    " + wordSig + ": " + sig,
		"",
		"    " + wordEndpoints,
	}
	for _, e := range c.Endpoints {
		lines = append(lines, "         "+wordEndpoint+": "+string(e))
	}
	lines = append(lines,
		"    "+wordClose,
		"    "+wordVersion+": "+c.Version.String(),
		wordClose,
		"",
	)
	return []byte(strings.Join(lines, "\r\n")), nil
}

func marshalKey[K xlreg.CommsKey | xlreg.SigKey](k K) (string, error) {
	key, err := keys.Parse(k)
	if err != nil {
		return "", err
	}
	return keys.FormatSSH(key), checkKind(key)
}

// checkKind refuses a key that no deployed client could read here.
func checkKind(key keys.Public) error {
	if key.Kind() != keys.RSA {
		return fmt.Errorf("key of kind %s: a registry's are of kind %s", key.Kind(), keys.RSA)
	}
	return nil
}
