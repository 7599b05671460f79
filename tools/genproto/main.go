// Command genproto writes the Go code of a .proto file.
//
//	genproto [-check] SOURCE.proto OUT.pb.go
//
// The .proto file is compiled in this process and the pinned protoc-gen-go does
// the rest, so nobody needs a protoc. With -check nothing is written: the exit
// status is 1 if OUT.pb.go is not what SOURCE.proto gives.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: genproto [-check] SOURCE.proto OUT.pb.go")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), *check); err != nil {
		fmt.Fprintln(os.Stderr, "genproto:", err)
		os.Exit(1)
	}
}

func run(source, out string, check bool) error {
	file, err := compile(source)
	if err != nil {
		return err
	}
	code, err := generate(file)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(out, code, 0o644)
	}
	have, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, code) {
		return fmt.Errorf("%s is stale: run make generate", out)
	}
	return nil
}

func compile(source string) (*descriptorpb.FileDescriptorProto, error) {
	compiler := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{ImportPaths: []string{filepath.Dir(source)}},
		SourceInfoMode: protocompile.SourceInfoStandard, // carries the comments over
	}
	files, err := compiler.Compile(context.Background(), filepath.Base(source))
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return protodesc.ToFileDescriptorProto(files[0]), nil
}

func generate(file *descriptorpb.FileDescriptorProto) ([]byte, error) {
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{file.GetName()},
		Parameter:      proto.String("paths=source_relative"),
		ProtoFile:      []*descriptorpb.FileDescriptorProto{file},
	})
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	plugin := exec.Command("go", "tool", "protoc-gen-go")
	plugin.Stdin, plugin.Stderr = bytes.NewReader(request), os.Stderr
	reply, err := plugin.Output()
	if err != nil {
		return nil, fmt.Errorf("run protoc-gen-go: %w", err)
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(reply, &response); err != nil {
		return nil, fmt.Errorf("decode response: %w", err)
	}
	if response.GetError() != "" {
		return nil, errors.New(response.GetError())
	}
	if len(response.GetFile()) != 1 {
		return nil, fmt.Errorf("protoc-gen-go made %d files, want 1", len(response.GetFile()))
	}
	return []byte(response.GetFile()[0].GetContent()), nil
}
