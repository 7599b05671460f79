# frozen_string_literal: true

require_relative 'real'
require 'xlreg/cli'

# Clusters with an owner, at a real registry: tickets, invites, admissions and orders.
class TestOwned < Minitest::Test
  include Real

  # Forms the cluster of a ticket in a thread.
  def forming(ticket, number, kind: 'p256', **more)
    member = node(number, keys: Xlreg::TestHelper.keys(number, kind), endpoints: ["127.0.0.1:#{7001 + number}"])
    Thread.new do
      Thread.current.report_on_exception = false
      Xlreg.form(ticket, node: member, timeout: PATIENCE, **more)
    end
  end

  def with_ticket(size: 2)
    with_registry { |registry| yield Xlreg::Ticket.new_owner(registry.url, 'web', size: size), registry }
  end

  # Whoever has an invite waits for the owner; an admission is for one key; a reader verifies what is there.
  def test_a_cluster_of_a_ticket
    with_ticket(size: 3) do |owner|
      invited = forming(owner.invite(uses: 1).text, 1)
      admitted = forming(owner.admit(Xlreg::TestHelper.keys(2).sig_key), 2, kind: 'rsa2048')
      formed = [forming(owner, 0), invited, admitted].map(&:value)
      assert_equal [%w[m0 m1 m2]], formed.map { |one| one.roster.members.map(&:name).sort }.uniq
      assert_equal [true], formed.map { |one| one.roster.pinned? }.uniq
      assert_equal 1, formed.map { |one| one.roster.short_sum }.uniq.size
      read = Xlreg.await(owner.reader, timeout: PATIENCE)
      assert_equal [formed[0].roster.sum, owner.key], [read.sum, read.cluster.key]
    end
  end

  def test_who_is_not_admitted
    with_ticket do |owner|
      forming(owner.reader, 1).tap { |thread| assert_raises(Xlreg::TicketError) { thread.value } }
      forming(owner.admit(Xlreg::TestHelper.keys(2, 'p256').sig_key), 1).tap do |thread|
        assert_match(/admits another node/, assert_raises(Xlreg::TicketError) { thread.value }.message)
      end
      invite = owner.invite(uses: 1)
      [forming(owner, 0), forming(invite, 1)].each(&:value)
      late = forming(invite, 2)
      assert_match(/admission refused/, assert_raises(Xlreg::AdmissionRefusedError) { late.value }.message)
      ended = forming(owner.invite(not_after: Time.at(1)), 2)
      assert_raises(Xlreg::AdmissionRefusedError) { ended.value }
    end
  end

  # An open cluster of the same name is another one.
  def test_a_name_is_not_a_key
    with_ticket do |owner, registry|
      [forming(owner, 0), forming(owner.invite, 1)].each(&:value)
      Xlreg::Client.open(registry.url) do |client|
        assert_raises(Xlreg::NoSuchClusterNameError) { client.members('web') }
        assert_predicate client.members(owner), :pinned?
        refute_predicate client.members(client.cluster(owner).id), :pinned?
        wrong = Xlreg::ClusterRef.new(id: client.cluster(owner).id, key: 'k' * 32)
        assert_raises(Xlreg::NoSuchClusterIDError) { client.members(wrong) }
      end
    end
  end

  def test_orders
    with_ticket do |ticket|
      invite = ticket.invite
      first, second = [forming(ticket, 0), forming(invite, 1)].map(&:value)
      owner = Xlreg::Owner.new(ticket.text)
      owner.evict(second.me)
      assert_raises(Xlreg::NotMemberError) { second.refresh(timeout: PATIENCE) }
      assert_raises(Xlreg::NotMemberError) { owner.evict(second.me) }
      forming(invite, 1).value # back, as nobody forbids
      owner.ban(second.me)
      assert_raises(Xlreg::AdmissionRefusedError) { forming(invite, 1).value }
      assert_match(/revoked/, assert_raises(Xlreg::AdmissionRefusedError) { forming(invite, 2).value }.message)
      owner.reopen
      assert_empty owner.members.members
      assert_raises(Xlreg::NewEpochError) { first.refresh(timeout: PATIENCE) }
      owner.delete
      assert_raises(Xlreg::AdmissionRefusedError) { forming(ticket, 0).value }
    end
  end

  def test_who_gives_no_orders
    ticket = Xlreg::Ticket.new_owner(Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: 'A' * 43), 'web',
                                     size: 2)
    [ticket.invite, ticket.reader].each { |one| assert_raises(Xlreg::TicketError) { Xlreg::Owner.new(one) } }
    assert_raises(Xlreg::TicketError) { ticket.reader.invite }
  end

  # Two who give orders at one time get through both; each takes the number that it is told.
  def test_owners_at_one_time
    with_ticket do |ticket|
      [forming(ticket, 0), forming(ticket.invite, 1)].each(&:value)
      threads = Array.new(4) { |i| Thread.new { Xlreg::Owner.new(ticket).revoke(ticket.invite) && i } }
      threads.each(&:join)
      assert_equal 4, Xlreg::Owner.new(ticket).members.state.orders
    end
  end

  # Whatever is pasted wrongly, no error shows what is secret in it.
  def test_no_error_shows_a_seed
    ticket = Xlreg::Ticket.new_owner(Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: 'A' * 43), 'web',
                                     size: 2)
    [ticket, ticket.invite].each do |one|
      text = one.text
      seed = text[/(?:owner|invite)=([^&]+)/, 1]
      [text, text.sub('xlreg', 'http'), text.sub('/?', '?'), "#{text}&#{text}", text.tr('&', ' '), text.sub('&', '%26'),
       text[/&(?:owner|invite).*/], text.sub('sig=', 'gis='), text.sub('cluster=', 'name='), text.gsub('=', '%3D'),
       text.sub('127.0.0.1', ''), "x#{text}", text.sub('size=2', 'size=x')].each { |line| check_unseen(line, seed) }
    end
  end

  def check_unseen(line, seed)
    [-> { Xlreg::Target.load(line) }, -> { Xlreg::Target.parse(line) }, -> { Xlreg::Ticket.load(line) },
     -> { Xlreg::Name.check(line) }, -> { Xlreg::Endpoint.new(line) }].each do |read|
      read.call
    rescue Xlreg::Error, SystemCallError => e
      refute_includes Xlreg::CLI.one_line(e), seed
      refute_includes e.message, seed unless e.is_a?(SystemCallError)
    end
    assert_raises(Xlreg::RegCredError) { Xlreg::Target.load(line) }
    out, err, = run_ruby('get', line, '--registry', line)
    refute_includes out + err, seed
  end
end
