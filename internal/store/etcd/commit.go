package etcd

import (
	"context"
	"strings"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/xlattice/xlreg/internal/store/mirror"
)

// Commit implements mirror.Database.
func (db *Database) Commit(ctx context.Context, t mirror.Txn) (mirror.Answer, error) {
	return db.commit(ctx, &t, db.comparisons(&t))
}

func (db *Database) commit(ctx context.Context, t *mirror.Txn, comparisons []clientv3.Cmp) (mirror.Answer, error) {
	var sent atomic.Bool
	at := db.members.now()
	resp, err := db.client.Txn(context.WithValue(ctx, sentKey{}, &sent)).
		If(comparisons...).Then(db.then(t)...).Else(db.otherwise(t)...).Commit()
	switch {
	case err != nil && len(t.Changes) == 0:
		db.members.doubt(at, err)
		return mirror.Answer{}, readFailure(err)
	case err != nil:
		db.members.doubt(at, err)
		return mirror.Answer{}, writeFailure(err, sent.Load())
	case !resp.Succeeded:
		return db.found(t, resp), nil
	case len(t.Changes) > 0:
		return mirror.Answer{Held: true, Revision: changedAt(resp)}, nil
	case !sameCounts(t, resp):
		return db.fetch(ctx, t)
	}
	return mirror.Answer{Held: true, Revision: resp.Header.GetRevision()}, nil
}

// fetch asks once more, so that it does not hold. Counts are the one thing that etcd
// does not compare itself.
func (db *Database) fetch(ctx context.Context, t *mirror.Txn) (mirror.Answer, error) {
	return db.commit(ctx, t, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(db.prefix), "=", mirror.Unknown)})
}

func (db *Database) comparisons(t *mirror.Txn) []clientv3.Cmp {
	all := make([]clientv3.Cmp, 0, len(t.Keys)+len(t.Ranges))
	for _, k := range t.Keys {
		all = append(all, clientv3.Compare(clientv3.ModRevision(db.prefix+k.Key), "=", k.Version))
	}
	for _, r := range t.Ranges {
		from, end := db.bounds(r.Prefix)
		all = append(all, clientv3.Compare(clientv3.ModRevision(from).WithRange(end), "<", r.Revision+1))
	}
	return all
}

// bounds returns what is longer than prefix and begins with it: from the first to
// before the second.
func (db *Database) bounds(prefix string) (from, end string) {
	return db.prefix + prefix + "\x00", clientv3.GetPrefixRangeEnd(db.prefix + prefix)
}

// then makes the changes. If there are none it counts the ranges, and in any case reads
// something: etcd takes a transaction without any operation for one that may be
// answered from a state that is old.
func (db *Database) then(t *mirror.Txn) []clientv3.Op {
	ops := make([]clientv3.Op, 0, max(1, len(t.Changes), len(t.Ranges)))
	for _, c := range t.Changes {
		if c.Value == nil {
			ops = append(ops, clientv3.OpDelete(db.prefix+c.Key))
			continue
		}
		ops = append(ops, clientv3.OpPut(db.prefix+c.Key, string(c.Value)))
	}
	if len(ops) > 0 {
		return ops
	}
	for _, r := range t.Ranges {
		from, end := db.bounds(r.Prefix)
		ops = append(ops, clientv3.OpGet(from, clientv3.WithRange(end), clientv3.WithCountOnly()))
	}
	if len(ops) > 0 {
		return ops
	}
	return append(ops, clientv3.OpGet(db.prefix, clientv3.WithCountOnly()))
}

// otherwise gets everything that was compared.
func (db *Database) otherwise(t *mirror.Txn) []clientv3.Op {
	ops := make([]clientv3.Op, 0, len(t.Keys)+len(t.Ranges))
	for _, k := range t.Keys {
		ops = append(ops, clientv3.OpGet(db.prefix+k.Key))
	}
	for _, r := range t.Ranges {
		from, end := db.bounds(r.Prefix)
		ops = append(ops, clientv3.OpGet(from, clientv3.WithRange(end)))
	}
	return ops
}

func (db *Database) found(t *mirror.Txn, resp *clientv3.TxnResponse) mirror.Answer {
	a := mirror.Answer{Revision: resp.Header.GetRevision(), Ranges: make([][]mirror.Record, len(t.Ranges))}
	for i, r := range resp.Responses {
		records := db.records(r.GetResponseRange().GetKvs())
		if i < len(t.Keys) {
			a.Keys = append(a.Keys, records...)
			continue
		}
		a.Ranges[i-len(t.Keys)] = records
	}
	return a
}

func (db *Database) records(kvs []*mvccpb.KeyValue) []mirror.Record {
	records := make([]mirror.Record, len(kvs))
	for i, kv := range kvs {
		records[i] = db.record(kv)
	}
	return records
}

func (db *Database) record(kv *mvccpb.KeyValue) mirror.Record {
	return mirror.Record{
		Key: strings.TrimPrefix(string(kv.GetKey()), db.prefix), Value: kv.GetValue(), Version: kv.GetModRevision(),
	}
}

func sameCounts(t *mirror.Txn, resp *clientv3.TxnResponse) bool {
	for i, r := range t.Ranges {
		if resp.Responses[i].GetResponseRange().GetCount() != int64(r.Count) {
			return false
		}
	}
	return true
}

// changedAt is the revision that changes have, and 0 if they only deleted what did not
// exist: then there is none.
func changedAt(resp *clientv3.TxnResponse) int64 {
	for _, r := range resp.Responses {
		if r.GetResponsePut() != nil || r.GetResponseDeleteRange().GetDeleted() > 0 {
			return resp.Header.GetRevision()
		}
	}
	return 0
}
