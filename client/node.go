package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/internal/wire"
	"github.com/xlattice/xlreg/keys"
)

// Register tells the registry the node's name, keys and endpoints, and returns the node's
// ID. It proposes the ID that the node has from this registry, so registering
// again updates the same node; a new ID is saved with the node before Register
// returns, so before it can be used in a Join.
func (c *Client) Register(ctx context.Context) (xlreg.NodeID, error) {
	return call(ctx, c, "register", func() (xlreg.NodeID, error) { return c.register(ctx) })
}

func (c *Client) register(ctx context.Context) (xlreg.NodeID, error) {
	if c.node == nil {
		return "", ErrReadOnly
	}
	token, certificate, err := c.node.Token(c.protocol, c.proposal(), c.now())
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	// The signature covers the certificate of this session's handshake.
	if !c.protocol.Classic() && !bytes.Equal(certificate, c.shown) {
		c.end(errRenewed)
		return "", fmt.Errorf("%w: %w", ErrSessionEnded, errRenewed)
	}
	reply, err := c.ask(ctx, wire.NewMember(token), c.silence)
	if err != nil {
		return "", err
	}
	id, _, err := reply.MemberOK()
	if err != nil {
		return "", c.parsed(err)
	}
	c.observe(reply)
	c.verifier.know(token, id)
	return id, c.remember(ctx, id)
}

// proposal returns the ID that the registry gave the node before. With none, the
// registry is to choose; but servers from before 2.0 expect a client to, and
// then what goes over a classic carrier is a random ID.
func (c *Client) proposal() xlreg.NodeID {
	if known, ok := c.node.Registry(c.sig); ok {
		return known.ID
	}
	if !c.protocol.Classic() {
		return ""
	}
	id := make([]byte, xlreg.ShortIDLen)
	rand.Read(id) // never fails
	return xlreg.NodeID(id)
}

// remember saves the ID with the node, and the registry's next key, unless they are saved
// already.
func (c *Client) remember(ctx context.Context, id xlreg.NodeID) error {
	known, ok := c.node.Registry(c.sig)
	now := known
	now.Sig, now.ID, now.Endpoints = c.sig, id, c.target.Endpoints
	c.keepNext(&now)
	if ok && known.ID == id && slices.Equal(known.Endpoints, now.Endpoints) && known.Next == now.Next {
		return nil
	}
	if c.target.Cred != nil {
		now.Name = c.target.Cred.Name
	}
	if now.Name == "" {
		registry, err := c.registry(ctx)
		if err != nil {
			return err
		}
		now.Name = registry.Name
	}
	now.Endpoints = slices.Clone(now.Endpoints)
	if err := c.node.SetRegistry(now); err != nil || now.Next == "" {
		return err
	}
	// For the day on which somebody configures the new key.
	now.Sig, now.Next, now.NextUntil = now.Next, "", time.Time{}
	return c.node.SetRegistry(now)
}

// Login says who the node is by the ID that Register saved. It changes nothing
// of what the registry knows of the node. A registry that does not know the ID
// answers xlreg.ErrBadSignature.
func (c *Client) Login(ctx context.Context) (xlreg.NodeID, error) {
	return call(ctx, c, "log in", func() (xlreg.NodeID, error) { return c.login(ctx) })
}

func (c *Client) login(ctx context.Context) (xlreg.NodeID, error) {
	if c.node == nil {
		return "", ErrReadOnly
	}
	known, ok := c.node.Registry(c.sig)
	if !ok {
		return "", ErrNotRegistered
	}
	proof, err := c.loginProof(known.ID)
	if err != nil {
		return "", err
	}
	reply, err := c.ask(ctx, wire.NewLogin(known.ID, proof), c.silence)
	if err != nil {
		return "", err
	}
	id, _, err := reply.MemberOK()
	if err != nil {
		return "", c.parsed(err)
	}
	c.observe(reply)
	if id != known.ID {
		return "", c.misbehaved("logged in as %v instead of %v", id, known.ID)
	}
	return id, nil
}

// loginProof signs this session's salt. Over 2.0 the handshake is the proof.
func (c *Client) loginProof(id xlreg.NodeID) ([]byte, error) {
	if !c.protocol.Classic() {
		return nil, nil
	}
	return keys.SignLogin(c.node.Keys().Sig, c.conn.Peer().Salt, id)
}

// Registry asks the registry for its credentials: what a regCred file holds. A
// reply with another sig key than the one the registry proved to hold, or is
// known to have, is an error of kind xlreg.ErrProtocol. Do not ask an original server:
// it does not know the request, and may crash.
func (c *Client) Registry(ctx context.Context) (*xlreg.Credentials, error) {
	r, err := call(ctx, c, "get credentials", func() (*xlreg.Credentials, error) { return c.registry(ctx) })
	if err != nil {
		return nil, err
	}
	return r, nil
}

// observe notes from where the registry sees this client, if it says so.
func (c *Client) observe(reply *wire.Message) {
	if from := reply.Observed(); from != "" && !c.protocol.Classic() {
		c.observed = from
	}
}

// Observed returns from where the registry sees this client: the address that others may
// reach it at, behind address translation for example, with the port of this connection.
// Over a classic carrier, and where the registry does not know, it is empty.
func (c *Client) Observed(ctx context.Context) (xlreg.Endpoint, error) {
	return call(ctx, c, "get observed address", func() (xlreg.Endpoint, error) {
		if c.observed == "" && !c.protocol.Classic() {
			if _, err := c.registry(ctx); err != nil {
				return "", err
			}
		}
		return c.observed, nil
	})
}

func (c *Client) registry(ctx context.Context) (*xlreg.Credentials, error) {
	reply, err := c.ask(ctx, wire.NewRegCredRequest(), c.silence)
	if err != nil {
		return nil, err
	}
	r, err := reply.Credentials()
	if err != nil {
		return nil, c.parsed(err)
	}
	c.observe(reply)
	if !c.proved(r.SigKey) {
		return nil, c.misbehaved("credentials with another sig key")
	}
	return r, nil
}
