// Command raftkv is a small replicated store on github.com/hashicorp/raft, and shows how
// such a program becomes a cluster with mutual TLS without knowing anything of xlreg but
// the environment:
//
//	xlreg run -n 3 --ports raft,http -- raftkv -data '{{.Dir}}/data'
//
// Members talk Raft at their endpoints named raft. At those named http, everybody with a
// certificate of the cluster can GET and PUT keys below /keys/, and GET /status.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	data := flag.String("data", "", "keep everything in this `DIR`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *data)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "raftkv:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, data string) error {
	if data == "" {
		return errors.New("say with -data where to keep the data")
	}
	c, err := readCluster()
	if err != nil {
		return err
	}
	keys := newStore()
	node, err := start(c, keys, data)
	if err != nil {
		return err
	}
	err = serve(ctx, c, newHandler(node.raft, keys, c))
	return errors.Join(err, node.close())
}

// serve answers until ctx ends.
func serve(ctx context.Context, c *cluster, h http.Handler) error {
	l, err := net.Listen("tcp", c.self().http)
	if err != nil {
		return err
	}
	s := &http.Server{
		Handler: h, TLSConfig: c.tls.Clone(),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 40 * time.Second,
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ServeTLS(l, "", "") }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	err = errors.Join(s.Shutdown(grace), s.Close())
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}
