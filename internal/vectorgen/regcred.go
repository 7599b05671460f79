package vectorgen

import (
	"fmt"
	"strings"
)

// cred is a regCred.dat in the making: lines without their ends.
type cred []string

func (m *maker) cred(id []byte, endpoints ...string) cred {
	lines := cred{
		"regCred {",
		"    Name: xlReg",
		"    ID: " + h(id),
		"    CommsPubKey: " + sshLine(m.ssh("registry-comms")),
		"",
		"    SigPubKey: " + sshLine(m.ssh("registry-sig")),
		"",
		"    EndPoints {",
	}
	for _, e := range endpoints {
		lines = append(lines, "         TcpEndPoint: "+e)
	}
	return append(lines, "    }", "    Version: 2.0", "}")
}

// Where the lines of a cred with one endpoint stand.
const (
	lineOpen = iota
	lineName
	lineID
	lineComms
	_
	lineSig
	_
	lineEnds
	lineEnd
	lineEndsClose
	lineVersion
	lineClose
)

func (c cred) with(line int, text string) cred {
	out := append(cred{}, c...)
	out[line] = text
	return out
}

func (c cred) without(lines ...int) cred {
	out := append(cred{}, c...)
	for i := len(lines) - 1; i >= 0; i-- {
		out = append(out[:lines[i]], out[lines[i]+1:]...)
	}
	return out
}

func (c cred) text(end string) string { return strings.Join(c, end) + end }

func (m *maker) regCreds() {
	m.goodCreds()
	m.recordedCreds()
	m.badCreds()
}

func (m *maker) goodCreds() {
	short, long := random("registry id", 20), random("registry id", 32)
	ends := []string{"203.0.113.7:56789", "[2001:db8::7]:56789", "registry.example.org:443"}
	one := ends[:1]
	base := m.cred(short, one...)
	print := fingerprint(m.ssh("registry-sig"))
	ok := func(name, about, text string, id []byte, endpoints []string, canonical bool) {
		m.add("regcred/"+name, success, about, fields{"text": text}, fields{
			"name": "xlReg", "id": h(id), "version": "2.0", "endpoints": endpoints,
			"comms_key": h(m.public("registry-comms")), "sig_key": h(m.public("registry-sig")),
			"fingerprint": print, "url": credURL(print, endpoints), "canonical": canonical,
		})
	}
	ok("canonical", "as our registries write it", base.text("\r\n"), short, one, true)
	ok("long-id", "an ID of 32 bytes", m.cred(long, one...).text("\r\n"), long, one, true)
	ok("three-endpoints", "endpoints of all three kinds", m.cred(short, ends...).text("\r\n"), short, ends, true)
	ok("lf", "line ends of one character", base.text("\n"), short, one, false)
	ok("mixed-line-ends", "both line ends in one file",
		strings.Replace(base.text("\r\n"), "\r\n", "\n", 3), short, one, false)
	ok("no-blank-lines", "blank lines may be missing", base.without(4, 6).text("\r\n"), short, one, false)
	ok("blank-lines", "blank lines may be anywhere", strings.ReplaceAll(base.text("\r\n"), "\r\n", "\r\n\r\n"), short, one, false)
	ok("upper-case-id", "hex digits of either case", base.with(lineID, "    ID: "+strings.ToUpper(h(short))).text("\r\n"), short, one, false)
	ok("comment", "a comment after the base64 of a key",
		base.with(lineSig, base[lineSig]+" root@registry").text("\r\n"), short, one, false)
}

func credURL(print string, endpoints []string) string {
	digest := strings.NewReplacer("+", "-", "/", "_", "SHA256:", "").Replace(print)
	return "xlreg://" + strings.Join(endpoints, ",") + "/?sig=" + digest
}

// recordedCreds are files that original servers wrote. Behind a key they have a
// line end of one character, and then one of two.
func (m *maker) recordedCreds() {
	for version, id := range map[string]string{
		"1.8.4": recordedID184, "1.9.24": recordedID1924,
	} {
		text, err := recorded.ReadFile("recorded/" + version + "-regCred.dat")
		m.fail(err)
		m.add("regcred/deployed-"+version, success, "written by an original server "+version,
			fields{"text": string(text)}, m.recordedCredWant(version, id, string(text)))
	}
}

func (m *maker) recordedCredWant(version, id, text string) fields {
	lines := strings.Split(strings.ReplaceAll(text, "\r", ""), "\n")
	sig := sshBytes(m, strings.Fields(lines[lineSig])[2])
	comms := sshBytes(m, strings.Fields(lines[lineComms])[2])
	endpoint := strings.Fields(lines[lineEnd])[1]
	print := fingerprint(sig)
	return fields{
		"name": "xlReg", "id": id, "version": version, "endpoints": []string{endpoint},
		"comms_key": h(spkiOfSSH(comms)), "sig_key": h(spkiOfSSH(sig)),
		"fingerprint": print, "url": credURL(print, []string{endpoint}), "canonical": false,
	}
}

func (m *maker) badCreds() {
	base := m.cred(random("registry id", 20), "203.0.113.7:56789")
	bad := func(name, about string, line int, c cred) {
		want := fields{}
		if line > 0 {
			want["line"] = line
		}
		m.add("regcred/"+name, message, about, fields{"text": c.text("\r\n")}, want)
	}
	bad("empty", "no line", 0, nil)
	bad("other-block", "another word before the brace", 1, base.with(lineOpen, "registry {"))
	for _, field := range []struct {
		name string
		line int
	}{{"name", lineName}, {"id", lineID}, {"comms-key", lineComms}, {"sig-key", lineSig}, {"version", lineVersion}} {
		about := fmt.Sprintf("the %s is missing; the error names the line that stands in its place", strings.ReplaceAll(field.name, "-", " "))
		bad("no-"+field.name, about, nextLine(base, field.line), base.without(field.line))
	}
	bad("no-endpoints", "the block of endpoints is missing", lineEnds+1, base.without(lineEnds, lineEnd, lineEndsClose))
	bad("no-endpoint", "a block of endpoints with none in it", lineEnd+1, base.without(lineEnd))
	bad("unknown-field", "a field that there is not", lineVersion+1, append(base.without(lineVersion, lineClose), "    Color: red", base[lineVersion], "}"))
	bad("order", "ID before Name", lineName+1, base.with(lineName, base[lineID]).with(lineID, base[lineName]))
	bad("unclosed", "the last brace is missing", 0, base.without(lineClose))
	bad("unclosed-endpoints", "the brace after the endpoints is missing", lineEndsClose+1, base.without(lineEndsClose))
	for name, c := range m.badCredValues(base) {
		bad(name, "refused: "+strings.ReplaceAll(name, "-", " "), c.line+1, base.with(c.line, c.text))
	}
}

// nextLine returns the number of the line that takes the place of a removed one,
// blank lines passed over.
func nextLine(c cred, line int) int {
	next := line + 1
	for c[next] == "" {
		next++
	}
	return next // counted from one, and one less for the line that is gone
}

type badValue struct {
	line int
	text string
}

func (m *maker) badCredValues(base cred) map[string]badValue {
	key := m.ssh("registry-sig")
	return map[string]badValue{
		"bad-name":              {lineName, "    Name: 0xlReg"},
		"empty-name":            {lineName, "    Name: "},
		"odd-id":                {lineID, base[lineID] + "0"},
		"long-id-bad":           {lineID, base[lineID] + "0000"},
		"id-not-hex":            {lineID, "    ID: " + strings.Repeat("g", 40)},
		"key-not-base64":        {lineSig, "    SigPubKey: ssh-rsa !!!!"},
		"key-missing":           {lineSig, "    SigPubKey: ssh-rsa"},
		"key-truncated":         {lineSig, "    SigPubKey: " + sshLine(key[:len(key)-1])},
		"key-trailing":          {lineSig, "    SigPubKey: " + sshLine(append(append([]byte{}, key...), 0))},
		"key-short":             {lineSig, "    SigPubKey: " + sshLine(sshForm(exponentBytes, oddModulus("cred", 512).Bytes()))},
		"key-ed25519":           {lineSig, "    SigPubKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUeyrzkvAr9GVLT8YxyBLpmGSzqIyDTPS0rFDEuy"},
		"key-type-inside":       {lineSig, "    SigPubKey: ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUeyrzkvAr9GVLT8YxyBLpmGSzqIyDTPS0rFDEuy"},
		"bad-endpoint":          {lineEnd, "         TcpEndPoint: 203.0.113.7:0"},
		"endpoints-with-commas": {lineEnd, "         TcpEndPoint: 203.0.113.7:1,203.0.113.7:2"},
		"version-one-part":      {lineVersion, "    Version: 2"},
		"version-five-parts":    {lineVersion, "    Version: 2.0.0.0.0"},
		"version-not-a-number":  {lineVersion, "    Version: 2.x"},
		"version-part-too-big":  {lineVersion, "    Version: 2.256"},
	}
}
