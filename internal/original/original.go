package original

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Generation is one of the two wire forms of the original servers, each of which
// spoke one.
type Generation int

// The generations, with the last release of each.
const (
	V18 Generation = iota + 1 // 1.8.4: one chain of cipher blocks through the session
	V19                       // 1.9.24: an IV in front of each message
)

// version returns the four bytes of the server's version.
func (g Generation) version() [4]byte {
	if g == V18 {
		return [4]byte{1, 8, 4}
	}
	return [4]byte{1, 9, 24}
}

const keyBits = 2048

// Options say what kind of server to start. Only Generation is required.
type Options struct {
	Generation Generation
	Listen     string          // empty: 127.0.0.1 and a free port
	Comms, Sig *rsa.PrivateKey // nil: made at the start

	// LoseRaces makes the first Create of each name lose the race against another
	// creator, who has the same wishes: the cluster exists afterwards, and the answer
	// is an Error.
	LoseRaces bool
}

// Server is a running server. It remembers nothing once it is closed.
type Server struct {
	generation Generation
	comms, sig *rsa.PrivateKey
	id         []byte
	book       book
	listener   net.Listener
	running    sync.WaitGroup // the accept loop and its sessions

	mu     sync.Mutex
	closed bool                  // guarded by mu
	open   map[net.Conn]struct{} // guarded by mu
}

// Start starts a server. Close it.
func Start(o Options) (*Server, error) {
	if o.Generation != V18 && o.Generation != V19 {
		return nil, errors.New("original server: no such generation")
	}
	s := &Server{generation: o.Generation, comms: o.Comms, sig: o.Sig, id: newID(), open: make(map[net.Conn]struct{})}
	s.book = book{loseRaces: o.LoseRaces, byName: make(map[string]*cluster), byID: make(map[string]*cluster)}
	for _, key := range []**rsa.PrivateKey{&s.comms, &s.sig} {
		if *key != nil {
			continue
		}
		made, err := rsa.GenerateKey(rand.Reader, keyBits)
		if err != nil {
			return nil, fmt.Errorf("original server: %w", err)
		}
		*key = made
	}
	address := o.Listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("original server: %w", err)
	}
	s.listener = listener
	s.running.Go(s.accept)
	return s, nil
}

// Address returns where the server listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close ends all sessions and returns when they are over. It may be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for nc := range s.open {
		nc.Close()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.add(nc) {
			nc.Close()
			return
		}
		s.running.Go(func() {
			defer s.remove(nc)
			s.serve(nc)
		})
	}
}

func (s *Server) add(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[nc] = struct{}{}
	return !s.closed
}

func (s *Server) remove(nc net.Conn) {
	nc.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, nc)
}

// serve is one session. Whatever is wrong with a Hello, or with the encryption of
// a message, closes the connection without a word.
func (s *Server) serve(nc net.Conn) {
	c, err := s.greet(nc)
	if err != nil {
		return
	}
	d := dialogue{book: &s.book, state: greeted}
	for d.state != over {
		text, err := c.receive()
		if err != nil {
			return
		}
		request, err := parse(text)
		if err != nil {
			return
		}
		if c.send(d.answer(request)) != nil {
			return
		}
	}
}
