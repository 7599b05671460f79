package launch

import (
	"os/exec"
	"strings"
	"testing"
)

// erlangPeers has two ends of a connection meet, both of whom insist on a certificate.
const erlangPeers = `
	[Cert1, Key1, Peers1, Cert2, Key2, Peers2] = init:get_plain_arguments(),
	logger:set_primary_config(level, none),
	{ok, _} = application:ensure_all_started(ssl),
	Options = fun(Cert, Key, Peers) ->
		[{certfile, Cert}, {keyfile, Key}, {cacertfile, Peers}, {verify, verify_peer}, {active, false}] end,
	{ok, Listen} = ssl:listen(0, [{ip, {127,0,0,1}}, {fail_if_no_peer_cert, true} | Options(Cert1, Key1, Peers1)]),
	{ok, {_, Port}} = ssl:sockname(Listen),
	Parent = self(),
	spawn_link(fun() ->
		{ok, Socket} = ssl:transport_accept(Listen),
		case ssl:handshake(Socket) of
			{ok, Secure} -> ssl:send(Secure, "welcome"), Parent ! {server, ok};
			Refusal -> Parent ! {server, Refusal}
		end,
		receive stop -> ok end
	end),
	Answer = case ssl:connect({127,0,0,1}, Port, [{server_name_indication, disable} | Options(Cert2, Key2, Peers2)]) of
		{ok, Client} -> ssl:recv(Client, 7);
		Refused -> Refused
	end,
	receive {server, Of} -> io:format("~p, and the server says ~p~n", [Answer, Of]) end,
	halt().`

// Erlang takes certificates of an authority, and none that members sign for themselves. That
// is why there are authorities.
func TestMutualTLSWithErlang(t *testing.T) {
	meet := func(server, client TLS) string {
		out, err := exec.CommandContext(t.Context(), "erl", "-noshell", "-eval", erlangPeers, "-extra",
			server.Cert, server.Key, server.Peers, client.Cert, client.Key, client.Peers).CombinedOutput()
		if err != nil {
			t.Fatalf("%v (Debian packages erlang-base, erlang-ssl)\n%s", err, out)
		}
		return string(out)
	}
	server, client, strangers := ends(t, FileOptions{Authority: testAuthority(t)})
	if out := meet(server, client); !strings.Contains(out, `{ok,"welcome"}`) {
		t.Errorf("members: %s", out)
	}
	for what, files := range strangers {
		if out := meet(server, files); strings.Contains(out, "welcome") || !strings.Contains(out, "unknown_ca") && !strings.Contains(out, "bad_certificate") {
			t.Errorf("a client whose certificate is %s: %s", what, out)
		}
	}
	server, client, _ = ends(t, FileOptions{})
	if out := meet(server, client); strings.Contains(out, "welcome") || !strings.Contains(out, "bad_certificate") {
		t.Errorf("members that sign for themselves: %s", out)
	}
}
