# frozen_string_literal: true

require_relative 'fake'

# Rosters that come in parts, and changes that do not add up.
class TestParts < Minitest::Test
  include Real

  Op = FakeRegistry::Op
  SIZE = 1024

  def setup
    key = Xlreg::TestHelper.keys(0, 'p256').sig_key
    @tokens = Array.new(SIZE) do |i|
      Xlreg::Wire::Pb::Token.new(Name: "m#{i}", ID: [i].pack('N') * 8, CommsKey: key, SigKey: key)
    end
    @asked = []
  end

  # Returns the whole roster of so many, as the registry has it.
  def whole(count, revision: 1)
    cluster = FakeRegistry::CLUSTER.with(size: SIZE)
    message = FakeRegistry.cluster_reply(Op::CLUSTER_MEMBERS, cluster)
    message.raw.Tokens.replace(@tokens.first(count))
    FakeRegistry.finish(message)
    message.raw.Revision = revision
    message.raw.Sum = Xlreg::Sum.of(message.part.roster)
    message
  end

  # Returns those of a roster that were asked for, at most so many at once.
  def answer(roster, request, most)
    raw = request.raw
    @asked << (raw.has_WhichSet? ? Xlreg::Seats.list(Xlreg::Seats.read(raw.WhichSet)).size : SIZE)
    seats = raw.has_WhichSet? ? Xlreg::Seats.read(raw.WhichSet) : Xlreg::Seats::ALL
    given = Xlreg::Seats.list(seats & Xlreg::Seats.read(roster.raw.SeatSet)).first(most)
    part = Xlreg::Wire::Message.decode(roster.encode)
    part.raw.Tokens.replace(@tokens.values_at(*given))
    part.raw.WhichSet = Xlreg::Seats.write(Xlreg::Seats.of(given))
    part
  end

  def members(script)
    FakeRegistry.run('2.0', { Op::GET_CLUSTER => script }) do |fake|
      Xlreg::Client.open(fake.cred) { |client| return client.members('web') }
    end
  end

  def test_a_roster_of_1024_in_parts
    all = whole(SIZE)
    roster = members(->(request) { answer(all, request, 400) })
    assert_equal [(0...SIZE).to_a, [1024, 624, 224]], [roster.members.map(&:index), @asked]
  end

  # Where the cluster changes between two parts it begins anew.
  def test_a_cluster_that_changes_in_between
    rosters = [whole(SIZE), *[whole(SIZE - 1, revision: 2)] * 4]
    roster = members(->(request) { answer(rosters.shift, request, 600) })
    assert_equal [SIZE - 1, 2], [roster.members.size, roster.state.revision]
  end

  def test_a_part_with_nobody
    all = whole(SIZE)
    assert_raises(Xlreg::ProtocolError) { members(->(request) { answer(all, request, @asked.empty? ? 10 : 0) }) }
  end

  # Changes that do not give the sum are no reason to believe them, but to ask for all.
  def test_changes_that_do_not_add_up
    first = whole(3)
    second = whole(5, revision: 7)
    seen = watch_two do |request|
      next answer(first, request, SIZE) if @asked.empty?
      next answer(second, request, SIZE) unless request.raw.has_SinceRevision?

      changed = answer(second, Xlreg::Wire::Requests.get(Xlreg::ClusterRef.new, classic: false, which: 0b1000), SIZE)
      changed.raw.SinceRevision = 1 # without the fifth
      changed
    end
    assert_equal [%w[m0 m1 m2], %w[m3 m4]], seen
  end

  def watch_two(&script)
    seen = []
    FakeRegistry.run('2.0', { Op::GET_CLUSTER => script }) do |fake|
      Xlreg.watch(fake.cred, 'web', timeout: PATIENCE) do |change|
        seen << change.roster.members.last(seen.empty? ? 3 : 2).map(&:name)
        break if seen.size == 2
      end
    end
    seen
  end
end
