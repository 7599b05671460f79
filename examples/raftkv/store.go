package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"sync"

	"github.com/hashicorp/raft"
)

// store is the keys and values that all members agree on.
type store struct {
	mu     sync.RWMutex
	values map[string]string // guarded by mu
}

func newStore() *store { return &store{values: make(map[string]string)} }

// change is one entry of the log.
type change struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (s *store) get(key string) (string, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	value, ok := s.values[key]
	return value, ok
}

// Apply makes a change that the members have agreed on. It is called by Raft, as are the
// other methods that have a capital letter.
func (s *store) Apply(entry *raft.Log) any {
	var c change
	if err := json.Unmarshal(entry.Data, &c); err != nil {
		return fmt.Errorf("entry %d of the log: %w", entry.Index, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[c.Key] = c.Value
	return nil
}

// Snapshot returns the keys as they are now.
func (s *store) Snapshot() (raft.FSMSnapshot, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return snapshot(maps.Clone(s.values)), nil
}

// Restore replaces all keys by those of a snapshot.
func (s *store) Restore(from io.ReadCloser) error {
	defer from.Close()
	values := make(map[string]string)
	if err := json.NewDecoder(from).Decode(&values); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = values
	return nil
}

type snapshot map[string]string

// Persist writes the snapshot.
func (s snapshot) Persist(to raft.SnapshotSink) error {
	if err := json.NewEncoder(to).Encode(s); err != nil {
		return fmt.Errorf("write a snapshot: %w (%w)", err, to.Cancel())
	}
	return to.Close()
}

// Release has nothing to release.
func (s snapshot) Release() {}
