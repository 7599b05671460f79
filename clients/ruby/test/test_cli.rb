# frozen_string_literal: true

require_relative 'real'

# exe/xlreg-rb has the flags, exit codes and output of the Go program.
class TestCLI < Minitest::Test
  include Real

  def test_create_join_and_get
    Dir.mktmpdir do |folder|
      with_registry do |registry|
        at = ['--registry', registry.url]
        first = [*at, '--node', File.join(folder, 'a'), '--name', 'a']
        check_created(run_ruby('create', 'web', '--size', '2', '-o', 'json', *first))
        joined, err, code = run_ruby('join', 'web', '--endpoint', '127.0.0.1:7001', '-o', 'json', *first)
        assert_equal [0, '', ['a']], [code, err, JSON.parse(joined)['members'].map { |one| one['name'] }]
        check_deadline(at)
        both = run_ruby('join', 'web', '--endpoint', '127.0.0.1:7002', '--wait', '30s', *at, '--node',
                        File.join(folder, 'b'), '--name', 'b')
        assert_equal 0, both[2]
        compare(['get', 'web', '-o', 'json', *at])
        assert_match(/\Acluster web  \h{12}…\n2 of 2 members\nsum \S{39}\n\nINDEX  NAME  ENDPOINTS       JOINED/,
                     both[0])
      end
    end
  end

  def check_created(result)
    made, err, code = result
    assert_equal [0, ''], [code, err]
    assert_equal ['web', 2, 1, 0], JSON.parse(made)['cluster'].values_at('name', 'size', 'endpointCount', 'attrs')
  end

  def check_deadline(at)
    _, err, code = run_ruby('get', 'web', '--wait', '4s', *at)
    assert_equal 3, code
    assert_match(/\Axlreg: .*1 of 2 members joined, 1 missing.*a at 127.0.0.1:7001/, err.lines.last)
    assert_equal 1, err.lines.last.scan('missing').size
  end

  # Leaves away what only later versions of the Go program say of a cluster over 2.0.
  def like(ours, theirs)
    return ours if theirs.match?(/^sum |"state"/)

    ours.gsub(/^(?:sum|epoch) .*\n/, '').sub(/^  "state": \{.*?\},\n/m, '')
  end

  # Both programs print the same.
  def compare(arguments)
    go = run_go(*arguments)
    assert_equal 0, go[2]
    out, *rest = run_ruby(*arguments)
    assert_equal go, [like(out, go[0]), *rest]
  end

  def test_exit_codes_and_output_of_failures
    with_registry do |registry|
      at = ['--registry', registry.url]
      [['get', 'none', *at], ['get', '0' * 40, *at]].each do |arguments|
        assert_equal run_go(*arguments), run_ruby(*arguments)
      end
      [[], ['nothing'], ['get', *at], ['get', 'a b', *at], %w[get web], ['get', 'web', '--size', '3', *at],
       ['join', 'web', '--create', *at], ['join', 'web', '--endpoint', '0.0.0.0:1', *at], ['create', 'web', *at],
       ['create', 'web', '--size', '1025', *at], ['get', 'web', '--wait', 'soon', *at],
       ['get', 'web', '--protocol', '1.7', *at], ['get', 'web', '-o', 'xml', *at]].each do |arguments|
        out, err, code = run_ruby(*arguments)
        assert_equal [2, '', 1], [code, out, err.lines.size], arguments.inspect
      end
    end
  end

  def test_flags_from_the_environment
    with_registry do |registry|
      ENV['XLREG_REGISTRY'] = registry.url
      ENV['XLREG_WAIT'] = '20s' # it does not take that
      require 'xlreg/cli'
      out, err = [+'', +''].map { |text| StringIO.new(text) }
      assert_equal 1, Xlreg::CLI.run(%w[get none], out: out, err: err)
      assert_match(/cannot find cluster with this name/, err.string)
    ensure
      %w[XLREG_REGISTRY XLREG_WAIT].each { |name| ENV.delete(name) }
    end
  end

  def test_help
    out, err, code = run_ruby('--help')
    assert_equal [0, ''], [code, err]
    assert_includes out, '--registry FILE|URL'
  end

  # Runs one command line in this process; the node's directories are made beforehand, with keys.
  def run_here(line)
    out, err = Array.new(2) { StringIO.new }
    [Xlreg::CLI.run(line.split, out: out, err: err), out.string, err.string]
  end

  def in_folder_of_nodes
    require 'xlreg/cli'
    Dir.mktmpdir do |folder|
      %w[a b c].each_with_index do |name, i|
        Xlreg::Node.init(File.join(folder, name), keys: Xlreg::TestHelper.keys(i)).close
      end
      with_registry do |registry|
        ENV['XLREG_REGISTRY'] = registry.reg_cred
        Dir.chdir(folder) { yield registry }
      ensure
        ENV.delete('XLREG_REGISTRY')
      end
    end
  end

  # Each: the exit code, the command line, and a part of the error.
  CASES = [
    [0, 'create codes --size 2 --node a', ''],
    [0, 'create --size 2 --unique some --node a', ''],
    [0, 'create --size 2 --node a', ''],
    [3, 'get codes --wait 4s', '0 of 2 members joined, 2 missing: time is up'],
    [3, 'join codes --node a --endpoint 127.0.0.1:1 --wait 4s', '1 of 2 members joined, 1 missing'],
    [0, 'join codes --node b --endpoint 127.0.0.1:2', ''],
    [1, 'join codes --node c --endpoint 127.0.0.1:3', 'cluster is full; take another cluster, or let'],
    [1, 'create codes --size 3 --node a', 'made for 2 members, not 3; ask for the size it has'],
    [0, 'get codes --wait 5s', ''],
    [0, 'get codes --wait=5s --output=json', ''],
    [2, 'create codes --size=2 --unique=maybe', '--unique: "maybe": want true or false'],
    [2, 'create codes --size=2 --unique=true --protocol=1.9', 'needs protocol 2.0'],
    [2, 'create codes --si 2', '--si'],
    [0, 'get codes --protocol 1.8 --wait 5s --node c', ''],
    [1, 'get none', 'cannot find cluster with this name; make the cluster'],
    [1, 'get none --wait 20s', 'cannot find cluster'],
    [1, 'get codes --registry nowhere.dat', 'nowhere.dat'],
    [1, 'get codes --registry xlreg://127.0.0.1:1/?sig=short', 'fingerprint'],
    [2, '', 'want join, get, create, leave, verify, compare, ticket, evict, revoke, reopen, delete, node, cred, vers'],
    [2, 'foo', 'unknown command "foo"'],
    [2, 'help foo', 'unknown command "foo"'],
    [0, 'help join', ''],
    [2, 'node', "'node': want init or show"],
    [2, 'node foo', "'node': want init or show"],
    [2, 'cred', "'cred': want show or url or fetch"],
    [2, 'cred show', 'takes one FILE'],
    [2, 'version now', 'takes nothing'],
    [2, 'node init x --key rsa1024', 'want p256, rsa2048, rsa3072, rsa4096'],
    [2, 'node init x --sig-key k', 'give both'],
    [2, 'node show a --size 3', 'unknown flag: --size'],
    [2, 'node init x --name 7up', '--name: ill-formed name'],
    [2, 'leave codes --protocol 1.9', 'needs protocol 2.0'],
    [2, 'cred fetch nowhere', 'host:port'],
    [2, 'cred fetch localhost:1 --sig short', '--sig: fingerprint'],
    [2, 'join codes --endpoint 224.0.0.1:1', 'multicast'],
    [2, 'join codes --endpoint 255.255.255.255:1', 'broadcast'],
    [2, 'join codes --node a --name other --endpoint a:1', 'nodes keep their names: make another with --node NEWDIR'],
    [1, 'leave codes --node nowhere', 'there is no node here'],
    [1, 'node show nowhere', 'there is no node here'],
    [1, 'node init a', 'there is a node already'],
    [1, 'get codes --registry localhost:1', 'xlreg cred fetch localhost:1'],
    [0, 'leave codes --node b', ''],
    [1, 'leave codes --node b', 'not a member'],
    [2, 'get', 'NAME'],
    [2, 'get a b', 'NAME'],
    [2, 'get 7up', 'letter'],
    [2, 'get codes --wait soon', '30s'],
    [2, 'get codes --wait -3s', '--wait'],
    [2, 'get codes --output xml', '--output'],
    [2, 'get codes --protocol 3.0', 'want 2.0, 1.9 or 1.8'],
    [2, 'get codes --nonsense', '--nonsense'],
    [2, 'create codes --node a', 'how many members with --size N'],
    [2, 'create codes --size 1025', '--size 1025: want 2 to 1024'],
    [2, 'create codes --size 2 --endpoints 17', '--endpoints 17: want 1 to 16'],
    [2, 'create codes --size 2 --unique --protocol 1.9', 'needs protocol 2.0'],
    [2, 'join codes --node d', '--endpoint HOST:PORT'],
    [2, 'join codes --endpoint 0.0.0.0:1', 'stands for all addresses'],
    [2, 'join codes --endpoint a:0', 'port'],
    [2, 'join codes --endpoint :0', 'port'],
    [2, 'join codes --endpoint lo:x', 'port'],
    [2, 'join codes --endpoint 7001', 'want HOST:PORT, INTERFACE:PORT or :PORT'],
    [2, 'node init x --endpoint :7001', '--endpoint'],
    [0, 'join own --create --size 2 --node c --endpoint :7001,lo:7002', ''],
    [2, 'join codes --create --endpoint a:1', '--create needs --size N'],
    [2, "join #{'0' * 40} --create --size 2 --endpoint a:1", '--create needs a name']
  ].freeze

  def test_every_exit_code
    in_folder_of_nodes do
      CASES.each do |wanted, line, part|
        code, out, err = run_here(line)
        assert_equal [wanted, wanted.zero?], [code, !out.empty?], line
        # A wait that is long enough is told, too.
        waiting, said = err.lines.partition { |one| one.match?(/\Axlreg: waiting for the members of codes[,:] /) }
        assert_equal [wanted.zero? ? 0 : 1, true], [said.size, waiting.empty? || line.include?('--wait')], line
        assert_includes said.join, part, line
        assert said.join.start_with?('xlreg: '), line unless code.zero?
      end
      ENV.delete('XLREG_REGISTRY')
      assert_equal 2, run_here('get codes')[0]
    end
  end

  # A reader waits through the registry's restart.
  WAITED = /\Axlreg: (waiting for the members of web(: .*)?|trying again), \d+ s/

  def test_get_waits_through_a_restart
    Dir.mktmpdir do |folder|
      registry = Xlreg::RegistryProcess.new(data: File.join(folder, 'data'), listen: own_address).start
      at = ['--registry', registry.url, '--node', File.join(folder, 'a')]
      assert_equal 0, run_ruby('create', 'web', '--size', '2', *at)[2]
      registry.kill
      waiting = Thread.new { run_ruby('get', 'web', '--wait', '30s', '--registry', registry.cred.url) }
      registry.start
      %w[a b].each_with_index do |name, i|
        _, _, code = run_ruby('join', 'web', '--endpoint', "127.0.0.1:700#{i}", '--registry', registry.url, '--node',
                              File.join(folder, name))
        assert_equal 0, code
      end
      _, err, code = waiting.value
      assert_equal [0, []], [code, err.lines.grep_v(WAITED)]
    ensure
      registry&.close
    end
  end

  def test_times
    require 'xlreg/cli'
    { '30s' => 30, '1m30s' => 90, '300ms' => 0.3, '1.5h' => 5400, '0' => 0 }.each do |text, seconds|
      command = Xlreg::Command.new(['get', 'web', '--wait', text, '--registry', 'x'])
      assert_in_delta seconds, command.wait
    end
  end
end
