# frozen_string_literal: true

require_relative 'clusters'
require_relative 'fake'
require_relative 'relay'

# Formations behind relays, for tests of networks. Times are a tenth of the real ones; with XLREG_LONG=1 in the
# environment they are the real ones, and the goal is held to the second.
module Formations
  include Clusters

  LONG = ENV.key?('XLREG_LONG')
  FASTER = LONG ? 1 : 10
  FAST = Xlreg::Timing::DEFAULT.faster(FASTER)
  # From the moment when the registry can be reached and the cluster is full to the roster.
  GOAL = 35.0 / FASTER
  SLACK = LONG ? 0 : 10.0 # of a machine that does much else

  def plan(cred, node, **more)
    timing = more.delete(:timing) || FAST
    options = Xlreg::Options.of(cred, node: node, protocol: more.delete(:protocol), timing: timing)
    ref = Xlreg::ClusterRef.of('web')
    Xlreg::Plan.new(options: options, ref: ref, size: 2, **more)
  end

  # Forms in a thread of its own, and tells each step to a queue.
  def member(cred, number, seconds: nil, **more)
    told = Queue.new
    node = node(number, endpoints: ["127.0.0.1:#{7001 + number}"])
    forming = Thread.new do
      Xlreg::Formation.new(plan(cred, node, **more), told.method(:push)).run(Xlreg::Limit.new(seconds))
    end
    [forming, told]
  end

  def until_told(queue)
    loop do
      now = queue.pop
      return now if yield now
    end
  end

  def seconds
    began = Xlreg::Clock::REAL.now
    yield
    Xlreg::Clock::REAL.now - began
  end

  # A fake registry in which m1 is a member already.
  def with_fake(protocol)
    FakeRegistry.run(protocol) do |fake|
      me = node(0, endpoints: ['127.0.0.1:7001'])
      fake.join(node(1, endpoints: ['127.0.0.1:7002']), FakeRegistry::OTHER_ID)
      yield fake, me
    end
  end
end
