package main

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/hashicorp/raft"
)

const (
	maxValue    = 64 << 10
	applyWithin = 5 * time.Second
)

// handler answers clients. What only the leader can do, it leaves to the leader.
type handler struct {
	raft    *raft.Raft
	keys    *store
	cluster *cluster
}

func newHandler(r *raft.Raft, keys *store, c *cluster) http.Handler {
	h := &handler{r, keys, c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", h.status)
	mux.HandleFunc("GET /keys/{key...}", h.get)
	mux.HandleFunc("PUT /keys/{key...}", h.put)
	return mux
}

// status is what 'GET /status' returns.
type status struct {
	Name    string            `json:"name"`
	State   string            `json:"state"`
	Leader  string            `json:"leader"` // empty: there is none
	Applied uint64            `json:"applied"`
	Members map[string]string `json:"members"` // name → where it talks Raft
}

// status fails while there is no leader, so that whoever asks need not understand the
// answer.
func (h *handler) status(w http.ResponseWriter, _ *http.Request) {
	_, leader := h.raft.LeaderWithID()
	s := status{
		Name: h.cluster.self().name, State: h.raft.State().String(), Leader: string(leader),
		Applied: h.raft.AppliedIndex(), Members: make(map[string]string),
	}
	configuration := h.raft.GetConfiguration()
	if err := configuration.Error(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	for _, server := range configuration.Configuration().Servers {
		s.Members[string(server.ID)] = string(server.Address)
	}
	w.Header().Set("Content-Type", "application/json")
	if leader == "" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(s) // the client may be gone, and nobody else wants to know
}

// get reads a key as the leader knows it.
func (h *handler) get(w http.ResponseWriter, r *http.Request) {
	if !h.leads(w, r) {
		return
	}
	// A leader that has been replaced without knowing it must not answer, nor one that is new
	// and has not applied yet what was agreed on before.
	if err := h.raft.Barrier(applyWithin).Error(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	value, ok := h.keys.get(r.PathValue("key"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, value) // as above
}

func (h *handler) put(w http.ResponseWriter, r *http.Request) {
	if !h.leads(w, r) {
		return
	}
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxValue))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	entry, err := json.Marshal(change{Key: r.PathValue("key"), Value: string(value)})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	applied := h.raft.Apply(entry, applyWithin)
	err = applied.Error()
	if failed, ok := applied.Response().(error); err == nil && ok {
		err = failed
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// leads reports whether this member is the leader. If not, it sends the client there.
func (h *handler) leads(w http.ResponseWriter, r *http.Request) bool {
	_, leader := h.raft.LeaderWithID()
	if leader == raft.ServerID(h.cluster.self().name) {
		return true
	}
	for _, m := range h.cluster.members {
		if raft.ServerID(m.name) == leader {
			http.Redirect(w, r, "https://"+m.http+r.URL.EscapedPath(), http.StatusTemporaryRedirect)
			return false
		}
	}
	http.Error(w, "no leader now: try again", http.StatusServiceUnavailable)
	return false
}
