# frozen_string_literal: true

require_relative 'real'
require 'xlreg/cli'
require 'stringio'

# The commands that deal with tickets and signed rosters, at a real registry.
class TestTicketing < Minitest::Test
  include Real

  def run_here(*arguments, input: StringIO.new)
    out, err = Array.new(2) { StringIO.new }
    code = Xlreg::CLI.run(arguments, out: out, err: err, input: input)
    [out.string, err.string, code]
  end

  def done(*arguments, **more)
    out, err, code = run_here(*arguments, **more)
    assert_equal ['', 0], [err, code], arguments.inspect
    out
  end

  def in_folder(&) = Dir.mktmpdir { |folder| Dir.chdir(folder, &) }

  def with_tickets
    in_folder do
      with_registry do |registry|
        done('ticket', 'new', 'web', '--size', '2', '--registry', registry.url, '--out', 'owner.ticket')
        assert_equal 0o600, File.stat('owner.ticket').mode & 0o777
        done('node', 'init', 'n1', '--name', 'n1', '--key', 'p256')
        admit = done('ticket', 'admit', '--ticket-file', 'owner.ticket', 'n1')
        yield registry, admit
      end
    end
  end

  def join(node, *how, **more)
    Thread.new do
      run_here('join', *how, '--node', node, '--endpoint', "127.0.0.1:700#{node[1]}", '--wait', '30s', **more)
    end
  end

  def test_a_cluster_of_tickets
    with_tickets do |registry, admit|
      joins = [join('n0', '--ticket-file', 'owner.ticket', '--name', 'n0', '--label', 'role=db'),
               join('n1', '-', input: StringIO.new(" #{admit} "))]
      assert_equal([0, 0], joins.map { |thread| thread.value[2] })
      shown = done('get', admit.chomp)
      assert_match(/^key \S{12}…\nsum [a-z2-7]{4}(-[a-z2-7]{4}){7}$/, shown)
      assert_equal shown, done('get', '--ticket', admit.chomp)
      found = JSON.parse(done('get', '--ticket-file', 'owner.ticket', '-o', 'json'))
      assert_equal [true, [{ 'role' => 'db' }]],
                   [found['state']['pinned'], found['members'].filter_map { |one| one['labels'] }]
      check_signed(registry, found['state']['sum'])
      assert_equal "evicted n1 from web\n", done('evict', '--ticket-file', 'owner.ticket', 'n1')
    end
  end

  def check_signed(registry, sum)
    done('get', '--ticket-file', 'owner.ticket', '--signed', 'a.roster')
    out = done('verify', 'a.roster', '--registry', registry.url)
    assert_match(/\Averified +a.roster\n.*^sum +#{sum}$/m, out)
    assert_equal true, JSON.parse(done('verify', '--ticket-file', 'owner.ticket', 'a.roster', '-o', 'json'))
                           .dig('documents', 0, 'pinned')
    File.binwrite('b.roster', File.binread('a.roster')[0...-1])
    assert_equal 1, run_here('verify', 'a.roster', 'b.roster', '--registry', registry.url)[2]
  end

  def test_what_a_ticket_shows
    with_tickets do |_, admit|
      owner = File.read('owner.ticket')
      invite = done('ticket', 'invite', owner.chomp, '--uses', '3', '--for', '24h')
      shown = done('ticket', 'show', invite.chomp)
      assert_match(/^ticket +invite\n.*^uses +3\n/m, shown)
      [owner, invite].each { |text| refute_includes shown, text[/(?:owner|invite)=([^&\n]+)/, 1] }
      assert_match(/^ticket +reader/, done('ticket', 'show', done('ticket', 'reader', admit.chomp).chomp))
      File.chmod(0o644, 'owner.ticket')
      _, err, = run_here('ticket', 'show', '--ticket-file', 'owner.ticket')
      assert_match(/others may read the ticket in owner.ticket/, err)
    end
  end

  # Each command of an owner says what it did, and its refusals say what is wrong.
  def test_orders
    with_tickets do
      owner = ['--ticket-file', 'owner.ticket']
      done('ticket', 'invite', *owner, '--out', 'invite.ticket')
      assert_match(/^key +[A-Za-z0-9_-]{43}$/, done('create', *owner, '--node', 'n1'))
      assert_equal 0, run_here('join', '--ticket-file', 'invite.ticket', '--node', 'n1', '--endpoint', '127.0.0.1:1')[2]
      refuse_orders
      sig = Xlreg::Node.load('n1').keys.fingerprint
      assert_match(/&admit=/, done('ticket', 'admit', *owner, sig))
      assert_equal ['ban', 'web', 'n1', sig], JSON.parse(done('evict', *owner, sig, '--ban', '-o', 'json')).values
      refused(/admission refused: .*; ask the cluster's owner for an invite/, 'join', '--ticket-file', 'invite.ticket',
              '--node', 'n1')
      key = done('ticket', 'show', '--ticket-file', 'invite.ticket')[/^invite +(.*)$/, 1]
      assert_equal "revoked the invite #{key}\n", done('revoke', *owner, '--', key)
      assert_equal "reopened web\n", done('reopen', *owner)
      assert_equal "deleted web\n", done('delete', *owner, '--yes')
      refused(/admission refused: deleted/, 'join', *owner, '--node', 'n1')
    end
  end

  def refuse_orders
    owner = ['--ticket-file', 'owner.ticket']
    refused(/only the owner's ticket can do this; ask the cluster's owner/, 'evict', '--ticket-file', 'invite.ticket',
            'n1')
    refused(/create web: only the owner's ticket can do this/, 'create', '--ticket-file', 'invite.ticket')
    refused(/not a member: web has no member "nobody"/, 'evict', *owner, 'nobody')
    refused(/"nowhere" is neither the key of an invite/, 'revoke', *owner, 'nowhere')
    refused(/this is no invite, but a ticket of kind owner/, 'revoke', *owner, 'owner.ticket')
    refused(/no member of web has the key SHA256:A+, and the fingerprint of a key is not enough/, 'ticket', 'admit',
            *owner, "SHA256:#{'A' * 43}")
    refused(/owner.ticket is there already/, 'ticket', 'reader', *owner, '--out', 'owner.ticket')
  end

  def refused(text, *arguments, exit: 1, **more)
    out, err, code = run_here(*arguments, **more)
    assert_equal ['', exit], [out, code], arguments.inspect
    assert_match text, err
  end

  # The person at the terminal is asked.
  def test_delete_asks
    with_tickets do
      owner = ['--ticket-file', 'owner.ticket']
      done('create', *owner, '--node', 'n1')
      refused(/nobody is here to be asked, .*: say --yes/, 'delete', *owner, exit: 2)
      { "n\n" => ['', 1], "y\n" => ["deleted web\n", 0] }.each do |answer, (printed, exit)|
        out, err, input = Array.new(3) { StringIO.new }
        input.string = answer
        [input, err].each { |io| io.define_singleton_method(:tty?) { true } }
        assert_equal exit, Xlreg::CLI.run(['delete', *owner], out: out, err: err, input: input)
        assert_equal printed, out.string
        assert_match(%r{\ADelete the cluster web for good\? \[y/N\] }, err.string)
      end
    end
  end

  # What the command line says counts before the environment, and one ticket is enough.
  def test_where_a_ticket_is_from
    with_tickets do |registry, admit|
      reader = done('ticket', 'reader', admit.chomp).chomp
      owner = File.read('owner.ticket').chomp
      ENV['XLREG_TICKET'] = reader
      assert_match(/^ticket +reader/, done('ticket', 'show'))
      assert_match(/^ticket +owner/, done('ticket', 'show', '--ticket-file', 'owner.ticket'))
      assert_match(/^ticket +admit/, done('ticket', 'show', '-', input: StringIO.new(admit)))
      assert_includes done('ticket', 'show', '--secret', owner), owner
      refused(/more than one ticket/, 'ticket', 'show', '--ticket-file', 'owner.ticket', '--ticket', owner, exit: 2)
      refused(/--ticket-file: want a FILE/, 'ticket', 'show', '--ticket-file', owner, exit: 2)
      refused(/leave --registry out/, 'get', reader, '--registry', registry.url, exit: 2)
      refused(/--create: a ticket says/, 'join', reader, '--create', '--size', '2', '--node', 'n1', exit: 2)
      refused(/--size: the ticket says/, 'create', owner, '--size', '3', exit: 2)
      refused(/cannot find cluster with this name/, 'get', 'web', '--registry', registry.url)
    ensure
      ENV.delete('XLREG_TICKET')
    end
  end

  # A key is shown in the line that OpenSSH has, by which a node that is elsewhere is admitted.
  def test_a_node_is_admitted_by_its_key
    with_tickets do |_, admit|
      done('node', 'init', 'n2', '--name', 'n2')
      %w[n1 n2].each do |name|
        line = done('node', 'show', name, '--key')
        assert_equal line, done('node', 'show', '--key', name)
        assert_equal run_go('node', 'show', name, '--key')[0], line
        File.write('key.pub', "#{line.chomp} a comment\n")
        by_line, by_file = [line, 'key.pub'].map { |key| done('ticket', 'admit', '--ticket-file', 'owner.ticket', key) }
        assert_equal by_line, by_file
        assert_equal admit, by_line if name == 'n1'
      end
      ['ssh-rsa AAAA', 'ecdsa-sha2-nistp256 AAAA', 'ssh-ed25519 x', 'nowhere'].each do |text|
        refused(/want a node's directory, or its public key/, 'ticket', 'admit', '--ticket-file', 'owner.ticket', text)
      end
    end
  end

  def test_a_line_that_joins_an_open_cluster
    with_tickets do |registry|
      at = ['--registry', registry.url, '--node', 'n1']
      line = done('create', 'open', '--size', '2', '--endpoints', '2', '--print-join', *at)
      assert_equal "xlreg-rb join open --registry '#{registry.url}' --create --size 2 --endpoint :7001,:7002 " \
                   "--wait 5m\n", line
      words = line.delete("'").split[1..].map { |word| word == '5m' ? '1s' : word }
      assert_equal 3, run_here(*words, '--node', 'n1')[2]
    end
  end

  def names(list) = list.map { |one| one['name'] }

  # All that changes is told once, in JSON a line each.
  def test_watch
    with_tickets do
      owner = ['--ticket-file', 'owner.ticket']
      done('create', *owner, '--node', 'n1')
      reading, writing = IO.pipe
      watching = Thread.new { Xlreg::CLI.run(['get', *owner, '--watch', '-o', 'json'], out: writing, err: writing) }
      assert_equal [], JSON.parse(reading.gets)['came']
      done('join', *owner, '--node', 'n1', '--endpoint', '127.0.0.1:1')
      assert_equal %w[n1], names(JSON.parse(reading.gets)['came'])
      done('leave', *owner, '--node', 'n1')
      assert_equal %w[n1], names(JSON.parse(reading.gets)['went'])
      done('delete', *owner, '--yes')
      assert_equal 1, watching.value
      assert_match(/cannot find cluster|admission refused/, JSON.parse(reading.gets)['error'])
    ensure
      [reading, writing].each { |io| io&.close }
    end
  end

  # As a member a node asks the others what they see, and is not made one for that.
  def test_compare
    with_tickets do
      owner = ['--ticket-file', 'owner.ticket']
      done('create', *owner, '--node', 'n1')
      refused(/node n1: not a member/, 'compare', *owner, '--node', 'n1')
      done('join', *owner, '--node', 'n1', '--endpoint', '127.0.0.1:1')
      done('join', *owner, '--node', 'n0', '--name', 'n0', '--endpoint', '127.0.0.1:2')
      shown = done('compare', *owner, '--node', 'n1')
      assert_match(/\Acluster +web\nsum +([a-z2-7]{4}-){7}[a-z2-7]{4}\nunknown +n0: .*refused/, shown)
      compared = JSON.parse(done('compare', *owner, '--node', 'n1', '-o', 'json'))
      assert_equal [[], [], ['n0']], [compared['same'], compared['other'], names(compared['unknown'])]
    end
  end

  def test_command_lines_that_are_wrong
    [[%w[ticket invite], /give a ticket/], [%w[get], /'get' takes one NAME/], [%w[join --fresh web], /--wait/],
     [['get', '-', '--protocol', '1.9'], /needs protocol 2.0/], [%w[delete -], /say --yes/]].each do |arguments, text|
      ticket = Xlreg::Ticket.new_owner(Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: 'A' * 43), 'web',
                                       size: 2)
      _, err, code = run_here(*arguments, input: StringIO.new(ticket.text))
      assert_equal 2, code, err
      assert_match text, err
    end
    _, err, code = run_here('get', '-', input: StringIO.new('owner=secretsecret'))
    assert_equal [1, false], [code, err.include?('secretsecret')]
  end
end
