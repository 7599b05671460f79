package recipetest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

func nats() system {
	return system{
		name: "nats", always: true,
		pastes:    "nats",
		needs:     []string{"curl"},
		what:      []string{`nats-server --version | sed 's/nats-server: v/nats-server /'`},
		tls:       []port{{name: "client", hello: readLine}, {name: "route"}}, // the monitor tells anybody who asks
		writeWith: natsWrite,
		readWith:  natsRead,
		wrote:     "first",
		// Two of the three replicas are enough for what is new.
		goesOnWith: func(c *cluster) error {
			_, err := natsAsk(c, "kept.after", "second")
			return err
		},
		kept: true,
	}
}

// readLine reads what a NATS server says before TLS, which is one line.
func readLine(conn net.Conn) error {
	for one := make([]byte, 1); one[0] != '\n'; {
		if _, err := conn.Read(one); err != nil {
			return err
		}
	}
	return nil
}

// natsWrite makes a stream of which each member has a copy, and puts a message into it.
func natsWrite(c *cluster) error {
	const stream = `{"name": "KEPT", "subjects": ["kept.*"], "storage": "file", "num_replicas": 3}`
	if _, err := natsAsk(c, "$JS.API.STREAM.CREATE.KEPT", stream); err != nil {
		return err
	}
	_, err := natsAsk(c, "kept.first", "first")
	return err
}

func natsRead(c *cluster) (string, error) {
	answer, err := natsAsk(c, "$JS.API.STREAM.MSG.GET.KEPT", `{"last_by_subj": "kept.first"}`)
	if err != nil {
		return "", err
	}
	var got struct{ Message struct{ Data string } }
	if err := json.Unmarshal(answer, &got); err != nil {
		return "", err
	}
	data, err := base64.StdEncoding.DecodeString(got.Message.Data)
	return string(data), err
}

// natsAsk sends a request to member 0, and returns the answer, in JSON. An error in it is one.
func natsAsk(c *cluster, subject, payload string) ([]byte, error) {
	conn, err := natsConnect(c)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "CONNECT {\"verbose\": false}\r\nSUB answer 1\r\nPUB %s answer %d\r\n%s\r\n", subject, len(payload), payload)
	answer, err := natsAnswer(conn)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", subject, err)
	}
	var fault struct{ Error *struct{ Description string } }
	if err := json.Unmarshal(answer, &fault); err != nil {
		return nil, err
	}
	if fault.Error != nil {
		return nil, fmt.Errorf("%s: %s", subject, fault.Error.Description)
	}
	return answer, nil
}

// natsConnect connects as the client of NATS does, to which the same variables say how.
func natsConnect(c *cluster) (net.Conn, error) {
	vars := c.environ(0)
	cert, err := tls.LoadX509KeyPair(vars["NATS_CERT"], vars["NATS_KEY"])
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(vars["NATS_CA"])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	address := strings.TrimPrefix(vars["NATS_URL"], "tls://")
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // a connection that is closed fails by itself
	if err := readLine(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: []tls.Certificate{cert}}), nil
}

// natsAnswer reads up to the first message.
func natsAnswer(conn net.Conn) ([]byte, error) {
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "MSG" {
			continue // INFO, PING
		}
		size, err := strconv.Atoi(words[len(words)-1])
		if err != nil || size < 0 || size > 1<<20 {
			return nil, fmt.Errorf("NATS sends %q", line)
		}
		message := make([]byte, size)
		_, err = io.ReadFull(r, message)
		return message, err
	}
}
