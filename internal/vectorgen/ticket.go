package vectorgen

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// ticketParts are the parameters of a ticket, in the order in which they are
// written.
type ticketParts [][2]string

func (p ticketParts) with(name, value string) ticketParts {
	out := append(ticketParts{}, p...)
	for i := range out {
		if out[i][0] == name {
			out[i][1] = value
			return out
		}
	}
	return append(out, [2]string{name, value})
}

func (p ticketParts) without(name string) ticketParts {
	var out ticketParts
	for _, part := range p {
		if part[0] != name {
			out = append(out, part)
		}
	}
	return out
}

const ticketHosts = "203.0.113.7:56789"

func (p ticketParts) line(hosts string) string {
	var list []string
	for _, part := range p {
		list = append(list, part[0]+"="+part[1])
	}
	return "xlreg://" + hosts + "/?" + strings.Join(list, "&")
}

func b64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// ticketSet are good tickets of each kind.
type ticketSet struct {
	m                            *maker
	owner, reader, invite, admit ticketParts
}

func (m *maker) ticketSet() ticketSet {
	digest := strings.NewReplacer("+", "-", "/", "_", "SHA256:", "").Replace(fingerprint(m.ssh("registry-sig")))
	head := ticketParts{{"sig", digest}, {"cluster", keyedName}, {"size", "5"}, {"endpoints", "2"}}
	key := b64url(ownerKey().public())
	i := goodInvite()
	reader := head.with("key", key)
	return ticketSet{
		m: m, owner: head.with("owner", b64url(ownerKey().seed)), reader: reader,
		invite: reader.with("invite", b64url(inviteKey().seed)).with("until", strconv.FormatUint(i.until, 10)).
			with("uses", strconv.Itoa(int(i.uses))).with("by", b64url(ownerKey().sign(i.input()))),
		admit: reader.with("admit", b64url(m.admitted("p256-sig").sig)),
	}
}

// want is what a ticket of that kind gives.
func (s ticketSet) want(kind string, p ticketParts, hosts string, canonical bool) fields {
	get := func(name string) string {
		for _, part := range p {
			if part[0] == name {
				return part[1]
			}
		}
		return ""
	}
	number := func(name string) int { n, _ := strconv.Atoi(get(name)); return n }
	raw := func(name string) string { b, _ := base64.RawURLEncoding.DecodeString(get(name)); return h(b) }
	f := fields{
		"kind": kind, "registry_endpoints": strings.Split(hosts, ","), "fingerprint": fingerprint(s.m.ssh("registry-sig")),
		"cluster_name": get("cluster"), "size": number("size"), "endpoint_count": number("endpoints"),
		"cluster_key": h(ownerKey().public()), "canonical": canonical,
	}
	switch kind {
	case "owner":
		f["seed"] = raw("owner")
	case "invite":
		f["seed"], f["invite_key"], f["invite_sig"] = raw("invite"), h(inviteKey().public()), raw("by")
		f["not_after_millis"], f["uses"] = "0", number("uses")
		if until := get("until"); until != "" {
			f["not_after_millis"] = until
		}
	case "admit":
		f["sig"] = raw("admit")
	}
	return f
}

func (m *maker) tickets() {
	s := m.ticketSet()
	s.good()
	s.bad()
	s.badNumbers()
	s.badBytes()
}

func (s ticketSet) good() {
	add := func(name, about, kind string, p ticketParts, hosts, text string, canonical bool) {
		s.m.add("ticket/"+name, success, about, fields{"text": text}, s.want(kind, p, hosts, canonical))
	}
	ok := func(name, about, kind string, p ticketParts) {
		add(name, about, kind, p, ticketHosts, p.line(ticketHosts), true)
	}
	loose := func(name, about, kind string, p ticketParts, text string) {
		add(name, about, kind, p, ticketHosts, text, false)
	}
	ok("owner", "the owner's", "owner", s.owner)
	ok("reader", "one that reads", "reader", s.reader)
	ok("invite", "an invite", "invite", s.invite)
	ok("admit", "one that admits a single key", "admit", s.admit)
	ok("largest", "the largest cluster", "owner", s.owner.with("size", "1024").with("endpoints", "16"))
	ok("smallest", "the smallest cluster", "owner", s.owner.with("size", "2").with("endpoints", "1"))
	ok("long-name", "the longest name", "owner", s.owner.with("cluster", strings.Repeat("n", 128)))
	endless := goodInvite()
	endless.until, endless.uses = 0, 0
	open := s.invite.with("until", "0").with("uses", "0").with("by", b64url(ownerKey().sign(endless.input())))
	ok("endless", "an invite without end, for any number", "invite", open)
	ok("most", "the latest end and the most uses there are; whether InviteSig holds is not looked at here", "invite",
		s.invite.with("until", "18446744073709551615").with("uses", "1000"))
	three := "203.0.113.7:56789,[2001:db8::7]:56789,registry.example.org:443"
	add("three-hosts", "endpoints of all three kinds", "owner", s.owner, three, s.owner.line(three), true)
	short := open.without("until").without("uses")
	loose("no-until-no-uses", "until and uses may be left out, and are zero then", "invite", short, short.line(ticketHosts))
	var reversed ticketParts
	for _, part := range s.invite {
		reversed = append(ticketParts{part}, reversed...)
	}
	loose("any-order", "the parameters in any order", "invite", s.invite, reversed.line(ticketHosts))
	print := fingerprint(s.m.ssh("registry-sig"))
	loose("as-printed", "the fingerprint as ssh-keygen prints it", "reader", s.reader, s.reader.with("sig", print).line(ticketHosts))
	s.defaultPort()
}

func (s ticketSet) defaultPort() {
	text := s.reader.line("registry.example.org")
	s.m.add("ticket/default-port", success, "a host without a port is at the default port", fields{"text": text},
		s.want("reader", s.reader, "registry.example.org:56789", false))
}

func (s ticketSet) refuse(name, about string, p ticketParts) {
	s.refuseText(name, about, p.line(ticketHosts))
}

func (s ticketSet) refuseText(name, about, text string) {
	s.m.add("ticket/"+name, message, about, fields{"text": text}, nil)
}

func (s ticketSet) bad() {
	again := func(p ticketParts, name, value string) ticketParts {
		return append(append(ticketParts{}, p...), [2]string{name, value})
	}
	for _, name := range []string{"sig", "cluster", "size", "endpoints"} {
		s.refuse("no-"+name, name+" is missing", s.reader.without(name))
	}
	for _, part := range s.invite {
		s.refuse("twice-"+part[0], part[0]+" is there twice", again(s.invite, part[0], part[1]))
	}
	s.refuse("twice-owner", "owner is there twice", again(s.owner, "owner", b64url(ownerKey().seed)))
	s.refuse("twice-admit", "admit is there twice", again(s.admit, "admit", b64url(s.m.admitted("p256-sig").sig)))
	s.refuse("no-key", "neither owner nor key", s.reader.without("key"))
	key, seed, by := b64url(ownerKey().public()), b64url(inviteKey().seed), b64url(random("by", 64))
	s.refuse("owner-and-key", "both owner and key", s.owner.with("key", key))
	s.refuse("owner-and-invite", "both owner and invite", s.owner.with("invite", seed).with("by", by))
	s.refuse("owner-and-admit", "both owner and admit", s.owner.with("admit", by))
	s.refuse("owner-and-until", "an end without an invite", s.owner.with("until", "1"))
	s.refuse("invite-and-admit", "both invite and admit", s.invite.with("admit", by))
	s.refuse("invite-without-by", "an invite that nobody signed", s.invite.without("by"))
	s.refuse("invite-without-key", "an invite without the cluster key", s.invite.without("key"))
	s.refuse("admit-without-key", "an admission without the cluster key", s.admit.without("key"))
	s.refuse("by-without-invite", "a signature of an invite, and no invite", s.reader.with("by", by))
	s.refuse("until-without-invite", "an end, and no invite", s.reader.with("until", "1"))
	s.refuse("uses-without-invite", "uses, and no invite", s.reader.with("uses", "1"))
	s.refuse("admit-with-uses", "uses of a single admission", s.admit.with("uses", "1"))
	s.refuse("unknown-parameter", "a parameter that there is not", s.reader.with("color", "red"))
	s.refuse("upper-case", "a parameter in another case", s.reader.without("size").with("Size", "5"))
	s.refuse("empty-name", "a cluster without a name", s.reader.with("cluster", ""))
	s.refuse("bad-name", "a cluster whose name is none", s.reader.with("cluster", "0"))
	s.refuse("escaped-name", "nothing is escaped in a ticket", s.reader.with("cluster", "vec%74ors"))
	s.refuse("long-name-129", "a name of 129 characters", s.reader.with("cluster", strings.Repeat("n", 129)))
	s.forms()
}

// forms are wrong as lines.
func (s ticketSet) forms() {
	line := s.reader.line(ticketHosts)
	s.refuseText("no-host", "no registry", s.reader.line(""))
	s.refuseText("bad-host", "port 0", s.reader.line("203.0.113.7:0"))
	s.refuseText("other-scheme", "another scheme", strings.Replace(line, "xlreg://", "https://", 1))
	s.refuseText("no-value", "a parameter without a value", strings.Replace(line, "size=5", "size", 1))
	s.refuseText("two-equals", "a value with an equals sign", strings.Replace(line, "size=5", "size=5=5", 1))
	s.refuseText("empty-parameter", "two separators in a row", strings.Replace(line, "&size", "&&size", 1))
	s.refuseText("trailing-separator", "a separator at the end", line+"&")
	s.refuseText("trailing-space", "a space at the end", line+" ")
	s.refuseText("fragment", "a fragment", line+"#x")
	s.refuseText("semicolon", "another separator", strings.ReplaceAll(line, "&", ";"))
	s.refuseText("line-end", "a line end within", strings.Replace(line, "&size", "\n&size", 1))
}

func (s ticketSet) badNumbers() {
	number := func(name, parameter, about, value string) {
		s.refuse(parameter+"-"+name, about, s.invite.with(parameter, value))
	}
	for _, parameter := range []string{"size", "endpoints", "until", "uses"} {
		number("empty", parameter, "a number without digits", "")
		number("leading-zero", parameter, "a leading zero", "05")
		number("two-zeros", parameter, "two zeros for none", "00")
		number("plus", parameter, "a sign", "+5")
		number("negative", parameter, "a number below zero", "-5")
		number("hex", parameter, "a number in hex", "0x5")
		number("fraction", parameter, "a fraction", "5.0")
		number("digits-of-others", parameter, "digits that are not ASCII", "٥")
		number("huge", parameter, "a number past 64 bits", "18446744073709551616")
	}
	number("1", "size", "a cluster of one", "1")
	number("1025", "size", "one member too many", "1025")
	number("0", "endpoints", "no endpoint", "0")
	number("17", "endpoints", "one endpoint too many", "17")
	number("1001", "uses", "one use too many", "1001")
}

func (s ticketSet) badBytes() {
	bytes := func(parameter string, p ticketParts, value string) {
		put := func(name, about, value string) { s.refuse(parameter+"-"+name, about, p.with(parameter, value)) }
		last := len(value) - 1
		put("empty", "no bytes", "")
		put("short", "one character less", value[:last])
		put("long", "one character more", value+"A")
		put("padded", "padding", value+"=")
		put("bad-character", "a character that is not of base64url", value[:last]+"!")
		put("standard-alphabet", "a character of base64 alone", "+"+value[1:])
		put("unused-bits", "bits behind the last byte that are not zero", value[:last]+unusedBits(value[last]))
		put("byte-less", "one byte less", b64url(random("short", len(value)*3/4-1)))
	}
	bytes("owner", s.owner, b64url(ownerKey().seed))
	bytes("key", s.reader, b64url(ownerKey().public()))
	bytes("invite", s.invite, b64url(inviteKey().seed))
	bytes("by", s.invite, b64url(random("by", 64)))
	bytes("admit", s.admit, b64url(random("by", 64)))
}

// unusedBits returns the character with the lowest bit set, which in the last
// place of 32 or 64 bytes stands for nothing.
func unusedBits(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)|1])
}
