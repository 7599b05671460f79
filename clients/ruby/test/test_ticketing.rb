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
