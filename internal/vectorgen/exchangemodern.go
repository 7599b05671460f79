package vectorgen

import "crypto"

// modernRequests use what 2.0 has and the classic carriers have not.
func (m *maker) modernRequests() {
	ask := func(name, about string, v *msg) { m.message(name, about, "client", v, true) }
	c, key := m.testCluster(), ownerKey().public()
	run := random("run", 16)
	labelled := m.p256Token()
	labelled.labels = someLabels()
	certificate, _ := m.certificate(m0p256())
	m.sign2(labelled, "p256-sig", certificate)
	ask("member-2.0-p256", "Member that registers over 2.0 with keys on P-256", newMsg(opMember).specs(m.p256Token()))
	ask("member-2.0-labels", "Member that registers with labels", newMsg(opMember).specs(labelled))
	creation := goodCreation()
	ask("create-keyed", "Create of a keyed cluster",
		newMsg(opCreate).text(14, c.name).u32(15, 5).u64(16, 0).u32(17, 2).bytes(28, key).bytes(39, ownerKey().sign(creation.input())))
	ask("join-run", "Join that names its run", newMsg(opJoin).text(14, c.name).bytes(33, run))
	ask("join-run-1", "the shortest Run", newMsg(opJoin).text(14, c.name).bytes(33, run[:1]))
	ask("join-run-32", "the longest Run", newMsg(opJoin).text(14, c.name).bytes(33, random("run", 32)))
	ask("join-lease", "Join with a lease", newMsg(opJoin).bytes(13, c.id).bytes(33, run).u32(34, 15000))
	ask("join-fresh", "Join that meets only members of this start", newMsg(opJoin).bytes(13, c.id).bytes(33, run).yes(44))
	ask("join-admitted", "Join of a keyed cluster by the owner's leave",
		newMsg(opJoin).text(14, c.name).bytes(28, key).bytes(33, run).bytes(37, m.admitted("p256-sig").encode()))
	ask("join-invited", "Join of a keyed cluster by an invite, with everything else that a Join can have",
		newMsg(opJoin).text(14, c.name).bytes(28, key).bytes(33, run).u32(34, 1<<32-1).bytes(37, m.invited("p256-sig", goodInvite()).encode()).yes(44))
	ask("get-keyed", "GetCluster of a keyed cluster", newMsg(opGetCluster).text(14, c.name).bytes(28, key))
	ask("get-set", "GetCluster of some members of a large cluster", newMsg(opGetCluster).bytes(13, c.id).bytes(36, setOf(0, 64, 1023)))
	ask("get-set-empty", "GetCluster of no member", newMsg(opGetCluster).bytes(13, c.id).bytes(36, nil))
	ask("get-since", "GetCluster of what has changed, as soon as anything has", newMsg(opGetCluster).bytes(13, c.id).u32(25, 25000).u64(31, joined))
	ask("get-epoch", "GetCluster that waits for members or another epoch",
		newMsg(opGetCluster).bytes(13, c.id).u32(24, 5).u32(25, 25000).u64(32, 1<<63))
	ask("get-sign", "GetCluster of a signed roster", newMsg(opGetCluster).bytes(13, c.id).yes(40))
	ask("leave-keyed", "Leave of a keyed cluster", newMsg(opLeave).text(14, c.name).bytes(28, key))
	for name, o := range m.goodOrders() {
		b := o.encode()
		ask("order-"+name, "Order: "+name, newMsg(opOrder).bytes(38, b).bytes(39, ownerKey().sign(orderInput(b))))
	}
	m.message("order-with-id", "Order that names its cluster twice: what was signed counts", "client",
		newMsg(opOrder).bytes(13, c.id).bytes(38, m.goodOrders()["reopen"].encode()).bytes(39, random("no signature", 64)), false)
}

func (m *maker) modernReplies() {
	answer := func(name, about string, v *msg) { m.message(name, about, "server", v, true) }
	open, keyed := m.openCluster(), m.keyedCluster()
	large := open
	large.epoch, large.revision, large.orders = 1<<64-1, 1<<64-1, 1<<64-1
	registry := &token{
		name: "xlReg", noAttrs: true, id: random("registry id", 32), comms: m.public("registry-comms"),
		sig: m.public("registry-sig"), ends: []string{"203.0.113.7:56789"},
	}
	root, leaf := m.registryChain()
	answer("reg-cred-reply-2.0", "RegCredReply over 2.0, with the chain and the address that the registry sees",
		newMsg(opRegCredReply).u32(6, 2).specs(registry).list(43, leaf, root).text(45, "203.0.113.9:51234"))
	answer("member-ok-2.0", "MemberOK over 2.0", newMsg(opMemberOK).text(8, "m0").bytes(9, random("login id", 32)).u64(10, 0).text(45, "[2001:db8::9]:51234"))
	answer("create-reply-2.0", "CreateReply over 2.0, of an open cluster: Orders are 0 and there all the same", newMsg(opCreateReply).cluster(open))
	answer("create-reply-keyed", "CreateReply of a keyed cluster", newMsg(opCreateReply).cluster(keyed))
	answer("create-reply-large", "the largest numbers", newMsg(opCreateReply).cluster(large))
	answer("join-reply-2.0", "JoinReply over 2.0, without a lease", newMsg(opJoinReply).clusterHead(open).clusterTail(open).u32(34, 0).u64(46, 0))
	answer("join-reply-lease", "JoinReply that says what lease holds", newMsg(opJoinReply).clusterHead(keyed).clusterTail(keyed).u32(34, 30000).u64(46, 1))
	answer("order-reply", "OrderReply", newMsg(opOrderReply).cluster(keyed))
	answer("cluster-members-2.0-none", "ClusterMembers of an empty cluster: sets of no bytes", rosterMsg(open, nil))
	answer("error-admission", "Error with what is wrong with an admission", newMsg(opError).text(23, "admission refused: expired").u32(26, 21))
	answer("error-orders", "Error with the number of orders done", newMsg(opError).text(23, "orders have changed").u32(26, 22).u64(46, 7))
	answer("error-full", "Error of a full registry, which says when to come back", newMsg(opError).text(23, "registry is full").u32(26, 23).u32(27, 60000))
	answer("error-key", "Error for a key that the registry does not admit", newMsg(opError).text(23, "key is not admitted").u32(26, 24))
	answer("error-run", "Error for a run that another has replaced",
		newMsg(opError).text(23, "cluster member id already in use: another run has taken this seat").u32(26, 3))
	m.signedReplies()
}

func (m *maker) signedReplies() {
	answer := func(name, about string, v *msg) { m.message(name, about, "server", v, true) }
	keyed, all := m.keyedCluster(), m.keyedSeats()
	full := *all[1].token
	full.lease, full.seen = 15000, joined-joined%1000
	told := []seat{all[0], {1, &full}}
	sum := keyed.sum(told)
	root, leaf := m.registryChain()
	answer("cluster-members-2.0", "ClusterMembers of a keyed cluster", rosterMsg(keyed, told))
	answer("cluster-members-since", "ClusterMembers with what has changed",
		newMsg(opClusterMembers).clusterHead(keyed).tokens(&full).clusterTail(keyed).u64(31, joined).
			bytes(35, setOf(0, 1)).bytes(36, setOf(1)).u64(46, 1).bytes(47, sum))
	millis := uint64(now.UnixMilli())
	answer("cluster-members-signed", "ClusterMembers that is signed",
		newMsg(opClusterMembers).clusterHead(keyed).tokens(all[0].token, &full).clusterTail(keyed).bytes(35, setOf(0, 1)).bytes(36, setOf(0, 1)).
			u64(41, millis).bytes(42, ecdsaSign(m.leaf, crypto.SHA256, signedInput(sum, millis))).list(43, leaf, root).u64(46, 1).bytes(47, sum))
}

func (m *maker) badModernMessages() {
	bad := func(name, about string, want fields, v *msg) {
		m.add("message/"+name, message, about, fields{"from": "client", "plain": h(v.b)}, want)
	}
	c := m.testCluster()
	illFormedName := refused(20, "ill-formed name")
	for name, op := range map[string]uint64{"create": opCreate, "join": opJoin, "get": opGetCluster, "leave": opLeave} {
		for n, text := range map[int]string{31: "short", 33: "long"} {
			bad(name+"-key-"+text, "a cluster key of another length", illFormedName, newMsg(op).text(14, c.name).bytes(28, random("bad key", n)))
		}
	}
	bad("join-run-33", "a Run of 33 bytes", illFormedToken(), newMsg(opJoin).text(14, c.name).bytes(33, random("run", 33)))
	bad("join-fresh-no-run", "Fresh without Run", illFormedToken(), newMsg(opJoin).text(14, c.name).yes(44))
	bad("get-set-too-long", "a WhichSet of 129 bytes", protocolError(), newMsg(opGetCluster).bytes(13, c.id).bytes(36, setOf(1024)))
}
