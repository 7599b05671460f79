package vectorgen

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
)

// joined is when members joined, in milliseconds since 1970.
const joined = 1767355200123

func (m *maker) testCluster() cluster {
	return cluster{id: random("cluster id", 20), name: "vectors", size: 5, attrs: 0, ends: 2}
}

// messages are what a session carries: the bytes of the protobuf and what they
// say. Those marked canonical have their fields in the order of their numbers
// and are what an encoder makes.
func (m *maker) messages() {
	m.requests()
	m.replies()
	m.modernRequests()
	m.modernReplies()
	m.oddMessages()
	m.badMessages()
	m.badModernMessages()
}

func (m *maker) message(name, about, from string, v *msg, canonical bool) {
	m.add("message/"+name, success, about, fields{"from": from, "plain": h(v.b)},
		fields{"fields": v.fields, "canonical": canonical})
}

func (m *maker) requests() {
	ask := func(name, about string, v *msg) { m.message(name, about, "client", v, true) }
	c := m.testCluster()
	long := random("cluster id long", 32)
	salt, id := random("login salt", 8), random("login id", 20)
	ask("reg-cred-request", "RegCredRequest", newMsg(opRegCredRequest))
	ask("member-classic", "Member that registers over a classic carrier", newMsg(opMember).specs(m.classicToken()))
	ask("member-2.0", "Member that registers over 2.0", newMsg(opMember).specs(m.modernToken()))
	ask("login-classic", "Member that logs in over a classic carrier",
		newMsg(opMember).bytes(9, id).bytes(22, pkcs1SHA1(m.rsa["node-sig"], join(salt, id))))
	ask("login-2.0", "Member that logs in over 2.0", newMsg(opMember).bytes(9, random("login id", 32)))
	ask("create", "Create", newMsg(opCreate).text(14, c.name).u32(15, c.size).u64(16, 4).u32(17, c.ends))
	ask("create-extremes", "Create with numbers that a registry clamps", newMsg(opCreate).text(14, "").u32(15, 1<<32-1).u64(16, 1<<64-1).u32(17, 0))
	ask("join-by-id", "Join by ID", newMsg(opJoin).bytes(13, c.id))
	ask("join-by-name", "Join by name", newMsg(opJoin).text(14, c.name))
	ask("join-last", "Join of the cluster that this session created", newMsg(opJoin))
	ask("join-both", "Join by both, of which the ID counts", newMsg(opJoin).bytes(13, long).text(14, c.name))
	ask("get", "GetCluster of all members", newMsg(opGetCluster).bytes(13, long))
	ask("get-some", "GetCluster of some members, answered at once", newMsg(opGetCluster).text(14, c.name).u64(20, 1<<63|5))
	ask("get-waiting", "GetCluster that waits for a size and a time", newMsg(opGetCluster).bytes(13, c.id).u32(24, 5).u32(25, 30000))
	ask("get-waiting-size", "GetCluster that waits for a size, as long as the server allows", newMsg(opGetCluster).bytes(13, c.id).u32(24, 5))
	ask("leave", "Leave", newMsg(opLeave).bytes(13, c.id))
	ask("bye", "Bye", newMsg(opBye))
	m.message("get-waiting-time", "GetCluster that waits until the cluster is full", "client",
		newMsg(opGetCluster).bytes(13, c.id).u32(25, 1), false)
	m.message("get-waiting-zero", "GetCluster with WaitMillis 0, which is answered at once", "client",
		newMsg(opGetCluster).bytes(13, c.id).u32(24, 5).u32(25, 0), false)
}

func (m *maker) replies() {
	answer := func(name, about string, v *msg) { m.message(name, about, "server", v, true) }
	c := m.testCluster()
	empty := c
	empty.id = random("cluster id long", 32)
	registry := &token{
		name: "xlReg", noAttrs: true, id: random("registry id", 32), comms: m.public("registry-comms"),
		sig: m.public("registry-sig"), ends: []string{"203.0.113.7:56789"},
	}
	m.message("reg-cred-reply", "RegCredReply", "server", newMsg(opRegCredReply).u32(6, 2).specs(registry), true)
	answer("member-ok", "MemberOK", newMsg(opMemberOK).text(8, "m0").bytes(9, random("login id", 20)).u64(10, 7))
	answer("member-ok-zero", "MemberOK, whose attributes are zero and there all the same",
		newMsg(opMemberOK).text(8, "m0").bytes(9, random("login id", 32)).u64(10, 0))
	answer("create-reply", "CreateReply", newMsg(opCreateReply).cluster(c))
	answer("join-reply", "JoinReply", newMsg(opJoinReply).cluster(c))
	answer("cluster-members-none", "ClusterMembers of an empty cluster", newMsg(opClusterMembers).cluster(empty).u64(20, 0))
	answer("leave-reply", "LeaveReply", newMsg(opLeaveReply).bytes(13, c.id))
	answer("ack", "Ack", newMsg(opAck))
	answer("error", "Error with code and text", newMsg(opError).text(23, "cluster is full").u32(26, 13))
	answer("error-detail", "Error with more after its text", newMsg(opError).text(23, `cannot find cluster with this name: "x"`).u32(26, 2))
	answer("error-retry", "Error that says when to come back", newMsg(opError).text(23, "too many requests").u32(26, 14).u32(27, 1500))
}

// oddMessages are well formed and not as an encoder of today makes them.
func (m *maker) oddMessages() {
	odd := func(name, about, from string, v *msg) { m.message(name, about, from, v, false) }
	c := m.testCluster()
	odd("error-deployed", "Error as deployed servers send it, with no code", "server", newMsg(opError).text(23, "ID already in use"))
	odd("create-reply-deployed", "CreateReply as deployed servers send it, with no name", "server",
		newMsg(opCreateReply).bytes(13, c.id).u32(15, c.size).u64(16, 0).u32(17, 1))
	odd("join-reply-deployed", "JoinReply as deployed servers send it, with no name", "server",
		newMsg(opJoinReply).bytes(13, c.id).u32(15, c.size).u64(16, 0).u32(17, 1))

	unknown := newMsg(opJoin).bytes(13, c.id)
	unknown.varint(1000, 7)
	unknown.raw(2000, []byte("from the future"))
	odd("unknown-fields", "fields that nobody knows are ignored", "client", unknown)

	last := &msg{fields: fields{}}
	last.text(14, c.name).u32(1, opJoin)
	odd("op-last", "fields may come in any order", "client", last)

	twice := newMsg(opLeave).text(14, "first").text(14, c.name).u32(1, opJoin)
	odd("twice", "of a field given twice the last counts", "client", twice)
}

func (m *maker) badMessages() {
	bad := func(name, layer, about, from string, plain []byte, want fields) {
		m.add("message/"+name, layer, about, fields{"from": from, "plain": h(plain)}, want)
	}
	c := m.testCluster()
	noMessage := func(name, about string, plain []byte) { bad(name, frame, about, "client", plain, protocolError()) }
	noMessage("empty", "no bytes, so no Op", nil)
	noMessage("no-op", "fields but no Op", newMsg(opJoin).bytes(13, c.id).b[2:])
	noMessage("cut", "the last field is cut", bytes.TrimSuffix(newMsg(opJoin).text(14, "cluster").b, []byte("r")))
	noMessage("tag-only", "a tag without its value", append(newMsg(opJoin).b, 0x78))
	noMessage("bad-varint", "a varint of eleven bytes", append(append(newMsg(opJoin).b, 0x78), bytes.Repeat([]byte{0x80}, 10)...))
	noMessage("field-zero", "a field with the number 0", append(newMsg(opJoin).b, 0, 0))
	noMessage("huge-length", "a field that claims 2 GiB", append(newMsg(opJoin).b, 0x6a, 0xff, 0xff, 0xff, 0xff, 7))
	noMessage("group", "a group, which no message has, behind an Op", append(newMsg(opJoin).b, 0xc3, 0x3e, 0xc4, 0x3e))
	noMessage("text", "no protobuf at all", []byte("GET / HTTP/1.1\r\n\r\n"))

	bad("op-18", rule, "an Op past those there are", "client", newMsg(18).b, refused(9, "message tag out of range"))
	bad("op-huge", rule, "the largest Op that an enum holds", "client", newMsg(1<<31-1).b, refused(9, "message tag out of range"))
	bad("member-neither", message, "Member with neither MemberSpecs nor MemberID", "client", newMsg(opMember).b, illFormedToken())

	wrong := func(name, about string, v *msg) { bad(name, message, about, "server", v.b, protocolError()) }
	wrong("member-ok-short-id", "MemberOK with an ID of 19 bytes", newMsg(opMemberOK).text(8, "m0").bytes(9, random("id", 19)).u64(10, 0))
	wrong("create-reply-no-id", "CreateReply without ClusterID", newMsg(opCreateReply).text(14, c.name).u32(15, 2).u64(16, 0).u32(17, 1))
	wrong("join-reply-long-id", "JoinReply with an ID of 33 bytes", newMsg(opJoinReply).bytes(13, random("id", 33)).u32(15, 2))
	wrong("reg-cred-reply-empty", "RegCredReply without MemberSpecs", newMsg(opRegCredReply).u32(6, 2))
}

// logins are the proofs of 5.2.
func (m *maker) logins() {
	salt, id := random("login salt", 8), random("login id", 20)
	long := random("login id", 32)
	sign := func(key string, parts ...[]byte) []byte { return pkcs1SHA1(m.rsa[key], join(parts...)) }
	add := func(name, layer, about, key string, id, sig []byte) {
		var want any
		if layer != success {
			want = badSignature()
		}
		m.add("login/"+name, layer, about, fields{
			"key": key, "sig_key": h(m.public(key)), "salt2": h(salt), "id": h(id), "digsig": h(sig),
		}, want)
	}
	add("valid", success, "a log-in with an ID of 20 bytes", "node-sig", id, sign("node-sig", salt, id))
	add("long-id", success, "a log-in with an ID of 32 bytes", "node-sig", long, sign("node-sig", salt, long))
	add("small-key", success, "a log-in with a key of 1024 bits", "small-sig", id, sign("small-sig", salt, id))
	good := sign("node-sig", salt, id)
	add("flipped", auth, "one bit of the signature changed", "node-sig", id, flip(good))
	add("missing", auth, "no signature", "node-sig", id, nil)
	add("truncated", auth, "one byte less", "node-sig", id, good[:len(good)-1])
	add("other-key", auth, "signed by another key", "node-sig", id, sign("other-sig", salt, id))
	add("other-salt", auth, "the salt of another session", "node-sig", id, sign("node-sig", flip(salt), id))
	add("other-id", auth, "another ID", "node-sig", long, good)
	add("order", auth, "the ID before the salt", "node-sig", id, sign("node-sig", id, salt))
	add("sha256", auth, "SHA-256 in place of SHA-1", "node-sig", id, pkcs1(m.rsa["node-sig"], crypto.SHA256, join(salt, id)))
	add("pss", auth, "PSS in place of PKCS #1 v1.5", "node-sig", id, pss(m.rsa["node-sig"], sha256.New, random("login pss", 32), join(salt, id)))
}

// recordedIDs are the IDs in the files of the original servers.
const (
	recordedID184  = "b60585703cb2cf2232d3a10126f2e34679aeafb6"
	recordedID1924 = "9aafd4f709f813e1286dee9fbfd59e9d07e40c23"
)

// recordings are sessions between original programs, one file each.
func (m *maker) recordings() {
	for version, generation := range map[string]string{"1.8.4": "1.8", "1.9.24": "1.9"} {
		data, err := recorded.ReadFile("recorded/" + version + ".jsonl")
		m.fail(err)
		m.recording(version, generation, string(data))
	}
}

type recordedLine struct {
	Session         int
	Dir, Wire, Kind string
	Plain           string
}

func (m *maker) recording(version, generation, data string) {
	steps, plains := map[int][]fields{}, map[int][]fields{}
	for line := range strings.Lines(data) {
		var l recordedLine
		m.fail(json.Unmarshal([]byte(line), &l))
		from := map[string]string{"c2s": "client", "s2c": "server"}[l.Dir]
		steps[l.Session] = append(steps[l.Session], fields{"from": from, "wire": l.Wire})
		plains[l.Session] = append(plains[l.Session], fields{"kind": l.Kind, "plain": l.Plain})
	}
	for session := range steps {
		who := map[int]string{1: "admin", 2: "member-0", 3: "member-1"}[session]
		m.add(fmt.Sprintf("recorded/%s-%s", version, who), success,
			"a whole session between an original client and an original server "+version,
			fields{"generation": generation, "key": "deployed-" + version + "-comms", "steps": steps[session]},
			fields{"steps": plains[session]})
	}
}
