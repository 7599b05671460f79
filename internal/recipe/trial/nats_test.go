package trial

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestNATS(t *testing.T) {
	c := newCluster(t, "nats", "nats-server", "curl")
	c.whole()
	c.start()
	c.natsAwait("m0", "$JS.API.STREAM.CREATE.s", `{"name":"s","subjects":["s"],"storage":"file","num_replicas":3}`, `"num_replicas":3`)
	c.natsAwait("m1", "s", "kept", `"stream":"s"`)
	c.stop()
	c.start()
	c.natsAwait("m1", "$JS.API.STREAM.MSG.GET.s", `{"last_by_subj":"s"}`, base64.StdEncoding.EncodeToString([]byte("kept")))
	for _, port := range []string{"client", "route"} {
		c.refusesStrangers(port, afterInfo)
	}
	c.must("kill", "m2", "--dir", c.dir)
	c.natsAwait("m0", "s", "alive", `"stream":"s"`)
	c.natsAwait("m1", "$JS.API.STREAM.MSG.GET.s", `{"last_by_subj":"s"}`, base64.StdEncoding.EncodeToString([]byte("alive")))
	c.stop()
}

// afterInfo waits for the line that a NATS server says before TLS begins. It says nothing
// more before that, so that no byte is lost here.
func afterInfo(conn net.Conn) error {
	_, err := bufio.NewReaderSize(conn, 64<<10).ReadString('\n')
	return err
}

// natsAwait sends requests until the reply has what is wanted in it.
func (c *cluster) natsAwait(member, subject, request, want string) {
	c.t.Helper()
	var reply string
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if reply, err = c.natsRequest(member, subject, request); err == nil && strings.Contains(reply, want) {
			return
		}
	}
	c.t.Fatalf("%s: the reply to %s was never %q: %v\n%s", member, subject, want, err, reply)
}

// natsRequest is a client as small as one can be.
func (c *cluster) natsRequest(member, subject, request string) (string, error) {
	c.t.Helper()
	cert, err := tls.LoadX509KeyPair(c.file(member, "cert.pem"), c.file(member, "key.pem"))
	if err != nil {
		return "", err
	}
	conn, err := net.DialTimeout("tcp", c.endpoint(member, "client"), patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := errors.Join(conn.SetDeadline(time.Now().Add(5*time.Second)), afterInfo(conn)); err != nil {
		return "", err
	}
	secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}}) //nolint:gosec // others look at that
	_, err = fmt.Fprintf(secured, "CONNECT {\"verbose\":false,\"tls_required\":true}\r\nSUB answer 1\r\nPUB %s answer %d\r\n%s\r\n", subject, len(request), request)
	if err != nil {
		return "", err
	}
	return natsMessage(bufio.NewReader(secured))
}

// natsMessage reads until there is a message, and returns what it says.
func natsMessage(from *bufio.Reader) (string, error) {
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return "", err
		}
		fields := strings.Fields(line)
		switch {
		case len(fields) > 0 && fields[0] == "-ERR":
			return "", errors.New(line)
		case len(fields) < 4 || fields[0] != "MSG":
			continue
		}
		n, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil || n > 1<<20 {
			return "", fmt.Errorf("%q: %w", line, err)
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(from, text); err != nil {
			return "", err
		}
		if !json.Valid(text) {
			return "", fmt.Errorf("no JSON: %q", text)
		}
		return string(text), nil
	}
}
