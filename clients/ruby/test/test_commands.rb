# frozen_string_literal: true

require_relative 'fake'
require 'pty'
require 'xlreg/cli'

# What people meet at exe/xlreg-rb besides clusters: nodes, credentials, versions, terminals, and errors.
class TestCommands < Minitest::Test
  include Real

  # Runs one command line in this process.
  def run_here(*arguments, input: StringIO.new)
    out, err = Array.new(2) { StringIO.new }
    [out.string, err.string, Xlreg::CLI.run(arguments, out: out, err: err, input: input)].then do |_, _, code|
      [out.string, err.string, code]
    end
  end

  def in_folder(&) = Dir.mktmpdir { |folder| Dir.chdir(folder, &) }

  # Both programs print the same.
  def compare(*arguments)
    go = run_go(*arguments)
    assert_equal 0, go[2], go[1]
    assert_equal go, run_here(*arguments)
  end

  def test_nodes
    in_folder do
      out, err, code = run_here('node', 'init', 'n0', '--name', 'n0', '--endpoint', '127.0.0.1:1,[::1]:2',
                                '--key', 'rsa3072')
      assert_equal ['', 0], [err, code]
      assert_match(/^name +n0\n.*^key bits +3072\nendpoints +127.0.0.1:1,\[::1\]:2$/m, out)
      with_registry do |registry|
        assert_equal 0, run_here('create', 'web', '--size', '2', '--registry', registry.url, '--node', 'n0')[2]
      end
      compare('node', 'show', 'n0')
      compare('node', 'show', 'n0', '-o', 'json')
      keys = ['--sig-key', 'n0/sig.pem', '--comms-key', 'n0/comms.pem']
      out, = run_here('node', 'init', 'n1', '--name', 'other', *keys, '-o', 'json')
      assert_equal ['other', Xlreg::Node.load('n0').keys.fingerprint], JSON.parse(out).values_at('name', 'sig')
    end
  end

  def test_credentials
    in_folder do
      with_registry do |registry|
        compare('cred', 'show', registry.reg_cred)
        compare('cred', 'show', registry.reg_cred, '-o', 'json')
        compare('cred', 'url', registry.reg_cred)
        at = registry.cred.endpoints.first.to_s
        out, _, code = run_here('cred', 'fetch', at, '--sig', registry.cred.fingerprint)
        assert_equal [registry.cred.to_s, 0], [out, code]
        out, = run_here('cred', 'fetch', at, '--sig', registry.cred.fingerprint, '--out', 'got.dat')
        assert_match(/^sig key +#{Regexp.escape(registry.cred.fingerprint)}$/, out)
        assert_equal registry.cred.to_s, Xlreg::RegCred.read('got.dat').to_s
        _, err, code = run_here('cred', 'fetch', at, '--sig', "SHA256:#{'A' * 43}")
        assert_equal 1, code
        assert_match(/no certificate has a key with fingerprint/, err)
        check_trust(at, registry.cred)
      end
    end
  end

  # Without a fingerprint somebody has to be there who knows it.
  def check_trust(address, cred)
    _, err, code = run_here('cred', 'fetch', address)
    assert_equal 2, code
    assert_match(/nobody is here to be asked.*only claims to have the key #{Regexp.escape(cred.fingerprint)}/, err)
    { "y\n" => [cred.to_s, 0], "n\n" => ['', 1], '' => ['', 1] }.each do |answer, (printed, exit)|
      input, err = [StringIO.new(answer), StringIO.new].each { |io| io.define_singleton_method(:tty?) { true } }
      said = StringIO.new
      assert_equal exit, Xlreg::CLI.run(['cred', 'fetch', address], out: said, err: err, input: input)
      assert_equal printed, said.string
      assert_includes err.string, "#{cred.fingerprint}\n\nIt is the right one only if"
    end
  end

  def test_versions
    %w[--version -v].each { |flag| assert_equal ["xlreg-rb #{Xlreg::VERSION}\n", '', 0], run_here(flag) }
    assert_match(/^xlreg-rb +#{Regexp.escape(Xlreg::VERSION)}$/, run_here('version')[0])
    shown = JSON.parse(run_here('version', '-o', 'json')[0])
    assert_equal [Xlreg::VERSION, %w[2.0 1.9 1.8]], shown.values_at('version', 'protocols')
  end

  def test_leave
    in_folder do
      with_registry do |registry|
        at = ['--registry', registry.url, '--node', 'm0']
        run_here('join', 'web', '--create', '--size', '2', '--endpoint', '127.0.0.1:1', *at)
        assert_equal ["left web\n", '', 0], run_here('leave', 'web', *at)
        run_here('join', 'web', *at)
        out, _, code = run_here('leave', 'web', '-o', 'json', *at)
        assert_equal [0, 'web'], [code, JSON.parse(out).dig('cluster', 'name')]
        assert_match(/not a member/, run_here('leave', 'web', *at)[1])
        assert_equal 0, JSON.parse(run_here('get', 'web', '-o', 'json', *at.first(2))[0])['members'].size
      end
    end
  end

  def test_errors_are_json_where_that_is_asked_for
    with_registry do |registry|
      at = ['--registry', registry.url]
      [%w[-o json], %w[-ojson], %w[--output json], %w[--output=json]].each do |flags|
        out, err, code = run_here('get', 'none', *at, *flags)
        shown = JSON.parse(err)
        assert_equal ['', 1, 1, 'cannot find cluster with this name'], [out, code, *shown.values_at('exit', 'kind')]
        assert_match(/cannot find cluster with this name; make the cluster/, shown['error'])
      end
      assert_equal [2, nil], JSON.parse(run_here('nothing', '-o', 'json')[1]).values_at('exit', 'kind')
      refute run_here('get', 'none', *at)[1].start_with?('{')
    end
  end

  def test_errors_in_json_say_when_to_come_back
    with_registry(arguments: ['--new-per-minute-loopback', '1']) do |registry|
      in_folder do
        at = ['--size', '2', '--registry', registry.url, '-o', 'json']
        run_here('create', 'a', *at, '--node', 'n0')
        shown = JSON.parse(run_here('create', 'b', *at, '--node', 'n1')[1])
        assert_equal 'too many requests', shown['kind']
        assert_includes 1..60_000, shown['retryMillis']
      end
    end
  end

  def test_output_that_cannot_be_written
    [%w[--version], %w[--help], %w[version -o json]].each do |arguments|
      reading, writing = IO.pipe
      pid = spawn(*EXE, *arguments, out: '/dev/full', err: writing)
      writing.close
      said = reading.read
      Process.wait(pid)
      assert_equal 1, $CHILD_STATUS.exitstatus
      assert_includes said, 'No space left on device'
      assert_equal arguments.include?('json'), said.start_with?('{')
    end
    pid = spawn(*EXE, 'nothing', out: File::NULL, err: '/dev/full')
    Process.wait(pid)
    assert_equal 2, $CHILD_STATUS.exitstatus
  end

  # Ctrl-C while waiting for others ends the wait, and not the membership.
  def test_an_interrupted_wait_says_that_the_seat_is_kept
    in_folder do
      with_registry do |registry|
        [[], %w[-o json]].each_with_index do |flags, i|
          said, code = interrupt(registry, 'join', "web#{i}", '--create', '--size', '2', '--endpoint', '127.0.0.1:1',
                                 '--node', 'm0', '--name', 'm0', '--wait', '60s', *flags)
          assert_equal 130, code
          said = JSON.parse(said)['error'] if i == 1 # JSON alone
          assert_match(/interrupted; m0 keeps its seat in web#{i}: run the same command again to go on waiting/, said)
          assert_match(/and 'xlreg-rb leave web#{i} --node m0' gives it up/, said)
          refute_match(/cli.rb/, said)
          shown = JSON.parse(run_here('get', "web#{i}", '--registry', registry.url, '-o', 'json')[0])
          assert_equal(['m0'], shown['members'].map { |member| member['name'] })
        end
        check_interrupted_reader(registry)
      end
    end
  end

  # There is no seat to keep.
  def check_interrupted_reader(registry)
    said, code = interrupt(registry, 'get', 'web0', '--wait', '60s')
    assert_equal [130, "xlreg: interrupted\n"], [code, said.lines.last]
    assert_match(/\Axlreg: waiting for the members of web0: 1 of 2 joined \(m0\), 1 missing, \d+ s left\n/, said)
  end

  # Interrupts a command line when the registry has it waiting. Whoever runs the tests may
  # ignore the signal, as a shell does for what is in the background.
  def interrupt(registry, *arguments)
    reading, writing = IO.pipe
    command = ['env', '--default-signal=INT', *EXE, *arguments, '--registry', registry.url]
    pid = spawn(*command, out: File::NULL, err: writing)
    writing.close
    # Who only reads says that it waits; who joins is seen by others.
    said = arguments[0] == 'get' ? reading.gets : ''
    waiting(registry, arguments) until arguments[0] == 'get' || waiting?(registry, arguments)
    Process.kill(:INT, pid)
    said += reading.read
    Process.wait(pid)
    [said, $CHILD_STATUS.exitstatus]
  end

  # Tells whether it has joined.
  def waiting?(registry, arguments)
    Xlreg::Client.open(registry.url) { |client| !client.members(arguments[1]).members.empty? }
  rescue Xlreg::NoSuchClusterError
    false
  end

  def waiting(*) = Thread.pass

  # On a terminal one line says how far it is, and goes away at the end.
  def test_a_terminal_sees_how_far_it_is
    in_folder do
      with_registry do |registry|
        PTY.spawn(*EXE, 'join', 'web', '--create', '--size', '2', '--endpoint', '127.0.0.1:1', '--node', 'm0',
                  '--name', 'm0', '--wait', '60s', '--registry', registry.url) do |reading, _, pid|
          seen = +''
          seen << reading.readpartial(1000) until seen.include?('1 of 2 joined (m0), 1 missing')
          assert_match(/\d+ s left, /, seen)
          at = ['--endpoint', '127.0.0.1:2', '--node', 'm1', '--registry', registry.url]
          assert_equal 0, run_here('join', 'web', *at)[2]
          rest = rest_of(reading)
          assert_match(/\r\e\[Kcluster web/, rest)
          assert_match(/^INDEX  NAME +ENDPOINTS/, rest)
          Process.wait(pid)
        end
      end
    end
  end

  def rest_of(terminal)
    rest = +''
    loop { rest << terminal.readpartial(1000) }
  rescue EOFError, Errno::EIO
    rest
  end

  # Being over a limit is told where there is no terminal, too, with the time to come back.
  def test_being_over_a_limit_is_told
    with_registry(arguments: ['--new-per-minute-loopback', '1']) do |registry|
      in_folder do
        at = ['--registry', registry.url]
        run_here('create', 'a', '--size', '2', '--node', 'n0', *at)
        _, err, code = run_here('join', 'a', '--endpoint', '127.0.0.1:1', '--wait', '5s', '--node', 'n1', *at)
        assert_equal 3, code
        assert_match(/^xlreg: trying again, \d s left: register: too many requests; .*; come back in \d+ s$/, err)
        assert_match(/^xlreg: form cluster "a": .*too many requests/, err.lines.last)
        _, err, = run_here('create', 'b', '--size', '2', '--node', 'n2', *at)
        assert_match(/\Axlreg: register: too many requests; if that goes on.*; come back in \d+ s\n\z/, err)
      end
    end
  end

  # Warnings are no errors.
  def test_a_wrong_clock_of_another_is_a_warning
    FakeRegistry.run('2.0') do |fake|
      fake.join(node(1), FakeRegistry::OTHER_ID, now: Time.now + (3 * 86_400))
      out, err, code = run_here('get', 'web', '--registry', fake.cred.url)
      assert_equal 0, code
      assert_includes out, 'm1'
      assert_match(/\Axlreg: warning: the certificate of member "m1" is not valid before/, err)
    end
  end

  def test_an_emptied_record_is_a_warning
    in_folder do
      run_here('node', 'init', 'n0', '--name', 'n0')
      File.write('n0/node.json', '')
      with_registry do |registry|
        out, err, code = run_here('create', 'web', '--size', '2', '--node', 'n0', '--registry', registry.url)
        assert_equal [0, true], [code, out.include?('web')]
        assert_match(/\Axlreg: warning: .*node.json was empty, as after a power cut; made anew, as n0\n\z/, err)
      end
    end
  end

  # Over 2.0 a member that has proved nothing ends a join, unless it is taken as it is.
  def test_members_that_have_proved_nothing
    in_folder do
      with_registry do |registry|
        run_here('join', 'web', '--create', '--size', '2', '--endpoint', '127.0.0.1:1', '--registry', registry.reg_cred,
                 '--protocol', '1.9', '--node', 'old', '--name', 'old')
        at = ['join', 'web', '--endpoint', '127.0.0.1:2', '--registry', registry.url, '--node', 'new', '--name', 'new']
        [[], %w[--wait 30s]].each do |wait|
          out, err, code = run_here(*at, *wait)
          assert_equal ['', 1], [out, code]
          assert_match(/proved nothing.*: old \(index 0\); let those members join over 2.0, or accept them with/, err)
          out, _, code = run_here(*at, *wait, '--allow-unverified')
          assert_equal 0, code
          assert_match(/^0 +old .* no$/, out)
        end
      end
    end
  end
end
