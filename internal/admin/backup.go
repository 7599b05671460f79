package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/xlattice/xlreg/internal/admin/api"
)

const backupPath = "/api/v1/backup"

// backupOperation offers a copy of the data. It needs the right to change, as the copy
// has everything that there is.
func (s *Server) backupOperation(a huma.API) {
	op := operation{
		id: "backup", method: http.MethodGet, path: backupPath, tag: "registry", right: change, lasts: always,
		summary: "A copy of the nodes and clusters, while the registry runs", errors: []int{http.StatusNotImplemented},
	}
	o := s.describe(&op)
	o.Description = "A copy ends early if it cannot be finished: it is whole only if it has the length that was said before it."
	o.Responses = map[string]*huma.Response{"200": {
		Description: "the data file",
		Content:     map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	huma.Register(a, o, func(ctx context.Context, _ *nothing) (*huma.StreamResponse, error) {
		if s.cfg.Keeper == nil {
			return nil, s.explain(op.id, fmt.Errorf("%w: its data are not in a file, but in memory or in a store that is backed up by its own means", api.ErrUnsupported))
		}
		if !s.beginCopy(ctx) {
			return nil, s.explain(op.id, fmt.Errorf("%w: another backup is under way: try again when it is done", api.ErrUnavailable))
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			defer func() { <-s.copying }()
			r, w := humago.Unwrap(ctx)
			s.backup(w, r)
		}}, nil
	})
}

// copyPatience is how long a backup waits for the one before: whoever has received all of
// that may be here before its end is noticed.
const copyPatience = time.Second

func (s *Server) beginCopy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, copyPatience)
	defer cancel()
	select {
	case s.copying <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// backup sends one state of the data. The length stands before it, and a copy that
// cannot be finished ends the connection, so that nobody takes a part for the whole.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	var size int64
	err := s.cfg.Keeper.Backup(r.Context(), func(n int64) io.Writer {
		size = n
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		return &progressWriter{w, http.NewResponseController(w)}
	})
	if err != nil && size > 0 {
		s.cfg.Logger.Error("backup failed", "err", err)
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		s.refuse(w, r, fmt.Errorf("backup: %w", err))
		return
	}
	s.record(r.Context(), "backup", "")
	s.cfg.Logger.Info("backup made", "bytes", size, "ms", time.Since(began).Milliseconds())
}

// progressWriter gives each piece of an answer its own time.
type progressWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (w *progressWriter) Write(p []byte) (int, error) {
	if err := w.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}
