package vectorgen

func (m *maker) unprovenRosters() {
	c := m.openCluster()
	m1 := m.rosterToken("m1", "p256-sig")
	for _, of := range []certified{m0(), certifiedAs("m0", "other-p256-sig", memberEnds)} {
		kind := map[bool]string{true: "p256-", false: ""}[m.p256[of.key] != nil]
		good := m.rosterTokenOf(of)
		bad := func(name, about string, change func(*token)) {
			t := *good
			change(&t)
			v := rosterMsg(c, seats(m1, &t))
			m.add("roster/"+kind+name, auth, about, fields{"protocol": "2.0", "message": h(v.b)}, badSignature())
		}
		bad("flipped", "one bit of a member's signature changed", func(t *token) { t.digSig2 = flip(t.digSig2) })
		bad("other-name", "a name that the member did not sign", func(t *token) { t.name = "m2" })
		bad("other-attrs", "attributes that the member did not sign", func(t *token) { t.attrs = 1 })
		bad("other-endpoint", "an endpoint that the member did not sign", func(t *token) { t.ends = []string{"203.0.113.66:4001"} })
		bad("other-port", "a port that the member did not sign", func(t *token) { t.ends = append([]string{"203.0.113.9:4009"}, t.ends[1:]...) })
		bad("other-labels", "labels that the member did not sign", func(t *token) { t.labels = someLabels() })
		bad("other-comms-key", "a comms key that the member did not sign", func(t *token) { m.signComms(t, "registry-comms") })
		bad("other-sig-key", "the sig key of somebody else", func(t *token) { t.sig = m.public("other-sig") })
		bad("other-certificate", "a certificate that the member did not sign for, of its name and key", func(t *token) {
			c := of
			c.to++
			_, t.cert = m.certificate(c)
		})
		bad("certificate-flipped", "one bit of the certificate's signature changed", func(t *token) { t.cert = flip(t.cert) })
		bad("certificate-of-other", "the certificate of another member", func(t *token) { t.cert = m1.cert })
		bad("certificate-short", "a field 9 that ends within its dates", func(t *token) { t.cert = t.cert[:31] })
		bad("certificate-serial", "a field 9 whose serial number begins with 80", func(t *token) { t.cert = join([]byte{0x80}, t.cert[1:]) })
		bad("comms-flipped", "one bit of CommsSig changed", func(t *token) { t.commsSig = flip(t.commsSig) })
		bad("no-comms-sig", "CommsSig is missing, and the other proofs are there", func(t *token) { t.commsSig = nil })
		bad("no-digsig2", "DigSig2 is missing, and the other proofs are there", func(t *token) { t.digSig2 = nil })
		bad("no-certificate", "Certificate is missing, and the other proofs are there", func(t *token) { t.cert = nil })
	}
}

// keyedRosters are read by whoever knows the cluster key.
func (m *maker) keyedRosters() {
	c, all := m.keyedCluster(), m.keyedSeats()
	in := func(v *msg) fields {
		return fields{"protocol": "2.0", "message": h(v.b), "cluster_key": h(ownerKey().public())}
	}
	want := []fields{}
	for _, s := range all {
		want = append(want, s.describe())
	}
	m.add("roster/keyed", success, "a member that the owner admitted, and one that came by an invite", in(rosterMsg(c, all)), fields{"members": want})
	m.add("roster/keyed-none", success, "a keyed cluster without members", in(rosterMsg(c, nil)), fields{"members": []fields{}})
	for _, lie := range m.lieAbout() {
		t := *all[0].token
		lie.change(&t)
		told := append([]seat{all[1], {2, &t}}, all[2:]...)
		told[0].index = 0
		m.add("roster/keyed-"+lie.name, auth, lie.about, in(rosterMsg(c, told)), badSignature())
	}
	other := c
	other.key = otherOwner().public()
	m.add("roster/keyed-other-cluster-key", auth, "the cluster of another key", in(rosterMsg(other, nil)), badSignature())
	other.key = nil
	m.add("roster/keyed-no-cluster-key", auth, "an open cluster", in(rosterMsg(other, nil)), badSignature())
	old := m.classicMember("old")
	old.joined, old.hasJoined = joined, true
	m.add("roster/keyed-classic-member", auth, "a member that came over a classic carrier", in(rosterMsg(c, seats(old))), badSignature())
}
