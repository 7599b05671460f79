# frozen_string_literal: true

require_relative 'formations'

# What networks do to the bytes of a connection: lose the rest of them, damage them, and slow them down.
class TestDamage < Minitest::Test
  include Formations

  def form_once(cred, node, protocol, timing)
    plan = plan(cred, node, protocol: protocol, timing: timing)
    Xlreg::Formation.new(plan, nil).run(Xlreg::Limit.new(PATIENCE)).roster.members.map(&:name)
  end

  # How many bytes a registry sends on the way to a roster.
  def length_of(fake, node, protocol)
    Relay.run(fake.cred) do |relay|
      form_once(relay.cred, node, protocol, FAST)
      return relay.counts[0]
    end
  end

  # Forms again and again, as many times as there are places some bytes apart; on the first connection the block
  # has its way with each.
  def at_every_place(protocol, step, way: :down)
    with_fake(protocol) do |fake, node|
      timing = FAST.with(answer: 0.5, stall: 0.5)
      (0..length_of(fake, node, protocol)).step(step) do |place|
        damage = ->(number, at, data) { number.zero? ? yield(place - at, data) : data }
        Relay.run(fake.cred, way => damage) do |relay|
          assert_equal %w[m0 m1], form_once(relay.cred, node, protocol, timing), "byte #{place}"
        end
      end
    end
  end

  %w[2.0 1.9 1.8].each do |protocol|
    define_method("test_a_connection_cut_at_every_place_over_#{protocol}") do
      at_every_place(protocol, 250) do |left, data|
        left < data.bytesize ? nil : data
      end
    end
  end

  def flipped(data, place)
    return data unless place.between?(0, data.bytesize - 1)

    data.dup.tap { |copy| copy.setbyte(place, copy.getbyte(place) ^ 0x10) }
  end

  # The other end says so with an alert, too.
  %i[down up].each do |way|
    define_method("test_a_byte_that_is_damaged_on_the_way_#{way}") do
      at_every_place('2.0', 700, way: way) { |place, data| flipped(data, place) }
    end

    define_method("test_a_byte_that_is_damaged_on_the_way_#{way}_where_nothing_detects_it") do
      at_every_place('1.9', 700, way: way) { |place, data| flipped(data, place) }
    end
  end

  # Such a roster takes longer than anything may stall, but it moves.
  def test_a_slow_line
    with_fake('2.0') do |fake, node|
      30.times { |i| fake.join(node(1, name: "n#{i}"), Xlreg::NodeID.new([i].pack('C') * 20)) }
      timing = FAST.with(stall: 2.0, answer: 2.0, handshake: PATIENCE)
      Relay.run(fake.cred, rate: 9_000) do |relay|
        names = nil
        took = seconds do
          options = Xlreg::Options.of(relay.cred, timing: timing)
          Xlreg::Dialogue.open(options, Xlreg::Limit.new(PATIENCE)) do |dialogue|
            names = dialogue.members(Xlreg::ClusterRef.of('web'), Xlreg::Limit.new(nil)).members.map(&:name)
          end
        end
        assert_equal 31, names.size
        assert_operator took, :>, 2 * timing.stall
      end
      assert_equal 'm0', node.name
    end
  end

  # It may trickle, but not for ever.
  def test_a_message_that_never_ends
    timing = FAST.with(message: 0.5)
    trickle = lambda do |tls|
      tls.write("\0\x10\0\0".b)
      loop { tls.write('x') && sleep(0.05) }
    end
    handshake = ->(socket) { trickle.call(Handshakes.tls.call(socket)[0]) }
    FakeRegistry.run('2.0', handshake: handshake) do |fake|
      Xlreg::Dialogue.open(Xlreg::Options.of(fake.cred, timing: timing), Xlreg::Limit.new(nil)) do |dialogue|
        took = seconds { assert_raises(Xlreg::SessionEndedError) { dialogue.registry(Xlreg::Limit.new(nil)) } }
        assert_operator took, :<, 0.5 + SLACK
      end
    end
  end
end
