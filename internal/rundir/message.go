package rundir

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What can be asked over the socket. A question and its answer are a line of JSON each.
const (
	askStatus = "status"
	askOrder  = "order"
	askEnd    = "end" // answered when the run has ended
)

// The longest lines: an order names one member, a status all of them.
const (
	maxRequest = 64 << 10
	maxReply   = maxFile
)

type request struct {
	Ask   string `json:"ask"`
	Order *Order `json:"order,omitempty"`
}

type reply struct {
	Status *Status `json:"status,omitempty"`
	Done   bool    `json:"done,omitempty"`  // of an order
	Ended  bool    `json:"ended,omitempty"` // of the run
	Error  string  `json:"error,omitempty"`
}

var errLineTooLong = errors.New("the line is too long")

// readLine reads a message, which has at most so many bytes.
func readLine(r *bufio.Reader, most int, v any) error {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > most {
			return errLineTooLong
		}
		if err == nil {
			break
		}
		if errors.Is(err, io.EOF) && len(line) > 0 {
			return io.ErrUnexpectedEOF
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("no message: %w", err)
	}
	return nil
}

func writeLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
