package vectorgen

import "strconv"

// admission is an Admission in the making.
type admission struct {
	invite         []byte
	until, uses    uint64
	inviteSig, sig []byte
}

func (a admission) encode() []byte {
	m := &msg{fields: fields{}}
	m.rawIf(1, a.invite)
	m.varintIf(2, a.until)
	m.varintIf(3, a.uses)
	m.rawIf(4, a.inviteSig)
	m.rawIf(5, a.sig)
	return m.b
}

// admitted returns the owner's admission of a key.
func (m *maker) admitted(key string) admission {
	l := goodLeave()
	l.sig = m.public(key)
	return admission{sig: ownerKey().sign(l.input())}
}

// invited returns the admission of a key by an invite.
func (m *maker) invited(key string, i invite) admission {
	l := goodLeave()
	l.sig, l.admit = m.public(key), i.invite
	return admission{i.invite, i.until, uint64(i.uses), ownerKey().sign(i.input()), inviteKey().sign(l.input())}
}

// admissions are what stands in field 37 of a Join and field 12 of a token.
func (m *maker) admissions() {
	m.goodAdmissions()
	m.badAdmissions()
}

func (m *maker) admission(name, layer, about string, b []byte, want fields) {
	m.add("admission/"+name, layer, about, fields{
		"bytes": h(b), "cluster_name": keyedName, "cluster_key": h(ownerKey().public()), "sig_key": h(m.public("p256-sig")),
	}, want)
}

func (a admission) describe(canonical bool) fields {
	return fields{
		"invite_key": h(a.invite), "not_after_millis": strconv.FormatUint(a.until, 10), "uses": a.uses,
		"invite_sig": h(a.inviteSig), "sig": h(a.sig), "canonical": canonical,
	}
}

func (m *maker) goodAdmissions() {
	ok := func(name, about string, a admission) {
		m.admission(name, success, about, a.encode(), a.describe(true))
	}
	direct, invited := m.admitted("p256-sig"), m.invited("p256-sig", goodInvite())
	endless := goodInvite()
	endless.until, endless.uses = 0, 0
	ended := goodInvite()
	ended.until = 1
	ok("direct", "by the owner", direct)
	ok("invited", "by an invite with end and uses", invited)
	ok("endless", "by an invite without either", m.invited("p256-sig", endless))
	ok("ended", "by an invite that has ended: that is the registry's to look at when the key first joins", m.invited("p256-sig", ended))
	m.admission("zeros", success, "zeros that an encoder leaves out",
		join([]byte{0x10, 0, 0x18, 0}, direct.encode()), direct.describe(false))
	m.admission("direct-with-uses", success, "what is said of an invite, and no invite", join([]byte{0x10, 5, 0x18, 1}, direct.encode()), direct.describe(false))
	m.admission("unknown-field", success, "a field that nobody knows is ignored", append(invited.encode(), 0x48, 1), invited.describe(false))
}

func (m *maker) badAdmissions() {
	raw := func(name, about string, b []byte) { m.admission(name, auth, about, b, refusedAdmission()) }
	direct, invited := m.admitted("p256-sig"), m.invited("p256-sig", goodInvite())
	bad := func(name, about string, a admission, change func(*admission)) {
		change(&a)
		raw(name, about, a.encode())
	}
	raw("empty", "no bytes", nil)
	raw("broken", "no protobuf", []byte{0x0a})
	raw("cut", "the last byte is missing", direct.encode()[:len(direct.encode())-1])
	bad("direct-flipped", "one bit of the owner's signature changed", direct, func(a *admission) { a.sig = flip(a.sig) })
	bad("direct-other-key", "the admission of another key", m.admitted("other-p256-sig"), func(*admission) {})
	bad("no-sig", "an invite without a signature by it", invited, func(a *admission) { a.sig = nil })
	bad("no-invite-sig", "an invite that the owner did not sign", invited, func(a *admission) { a.inviteSig = nil })
	bad("sig-flipped", "one bit of the invite's signature changed", invited, func(a *admission) { a.sig = flip(a.sig) })
	bad("invite-sig-flipped", "one bit of the owner's signature changed", invited, func(a *admission) { a.inviteSig = flip(a.inviteSig) })
	bad("other-end", "a later end than the owner signed", invited, func(a *admission) { a.until++ })
	bad("no-end", "the end that the owner signed is missing", invited, func(a *admission) { a.until = 0 })
	bad("other-uses", "more uses than the owner signed", invited, func(a *admission) { a.uses++ })
	bad("no-uses", "the uses that the owner signed are missing", invited, func(a *admission) { a.uses = 0 })
	bad("invited-other-key", "the admission of another key by the invite", m.invited("other-p256-sig", goodInvite()), func(*admission) {})
	bad("other-invite", "an invite key that the owner did not sign, which signed", invited, func(a *admission) {
		other := newEdKey("other invite")
		l := goodLeave()
		l.sig, l.admit = m.public("p256-sig"), other.public()
		a.invite, a.sig = other.public(), other.sign(l.input())
	})
	bad("no-invite-key", "the invite key is missing and what belongs to it is there", invited, func(a *admission) { a.invite = nil })
	bad("short-invite-key", "an invite key of 31 bytes", invited, func(a *admission) { a.invite = a.invite[:31] })
	bad("owner-signs-invited", "signed by the owner where the invite should", invited, func(a *admission) {
		l := goodLeave()
		l.sig, l.admit = m.public("p256-sig"), a.invite
		a.sig = ownerKey().sign(l.input())
	})
	many := goodInvite()
	many.uses = 1001
	bad("1001-uses", "more uses than an invite may have", m.invited("p256-sig", many), func(*admission) {})
	other := goodInvite()
	other.key = otherOwner().public()
	bad("other-owner", "an invite into another cluster of this name", m.invited("p256-sig", other), func(a *admission) {
		a.inviteSig = otherOwner().sign(other.input())
	})
}

// sets are what stands in SeatSet and WhichSet.
func (m *maker) sets() {
	ok := func(name, about string, b []byte, canonical bool, indexes ...int) {
		m.add("set/"+name, success, about, fields{"bytes": h(b)}, fields{"indexes": append([]int{}, indexes...), "canonical": canonical})
	}
	add := func(name, about string, indexes ...int) { ok(name, about, setOf(indexes...), true, indexes...) }
	m.add("set/absent", success, "a field that is not there stands for all", fields{}, fields{"all": true})
	add("empty", "no bytes: none")
	add("first", "the lowest bit of the first byte is index 0", 0)
	add("seventh", "the highest bit of the first byte is index 7", 7)
	add("eighth", "the lowest bit of the second byte is index 8", 8)
	add("some", "bytes of zeros within are not cut", 0, 3, 64, 65, 511)
	add("last", "128 bytes: the highest index there is", 1023)
	var all []int
	for i := range 1024 {
		all = append(all, i)
	}
	add("all", "every index there is", all...)
	ok("trailing-zero", "zeros at the end, which are cut when sent", []byte{1, 0, 0}, false, 0)
	ok("zeros", "nothing but zeros: none", make([]byte, 128), false)
	bad := func(name, about string, b []byte) {
		m.add("set/"+name, message, about, fields{"bytes": h(b)}, protocolError())
	}
	bad("129-bytes", "an index of 1024", setOf(1024))
	bad("129-zeros", "129 bytes, whatever is in them", make([]byte, 129))
}
