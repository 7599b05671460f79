# frozen_string_literal: true

require_relative 'vectors'

# The vectors about saved rosters.
module VectorSaved
  def run_saved(vector)
    source = vector['input']
    want = vector['want'] || {}
    saved, key = Vectors.unhex(source, 'saved', 'cluster_key')
    node = saver(source)
    target = Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: source['fingerprint'])
    ref = Xlreg::ClusterRef.new(name: source['cluster_name'].to_s, key: (key unless key.empty?))
    now = Time.at(source['now_millis'].to_i / 1000r)
    found = Xlreg::SavedRoster.load(saved, target, node, cluster: ref, now: now)
    check_roster(found.roster, want)
    assert_equal want.values_at('node_id', 'heard_millis'), [found.me.id.to_s, (found.heard.to_r * 1000).to_i.to_s]
    assert_equal !key.empty?, found.roster.pinned?
    return unless want['canonical']

    again = Xlreg::SavedFile.encode(found.roster, node, source['fingerprint'], found.heard)
    assert_equal unsigned(saved), unsigned(again)
  end

  def saver(source)
    keys = Xlreg::Keys.new(comms: Vectors.key('node-comms'), sig: Vectors.key(source['signer']))
    Xlreg::Node.new(name: source['name'], endpoints: source['endpoints'], keys: keys)
  end

  # A saved roster of one message less its signature.
  def unsigned(saved)
    at = "xlreg saved 2.0\0".bytesize
    2.times { at += 4 + saved.byteslice(at, 4).unpack1('N') }
    at += 12
    saved.byteslice(0, at + 4 + saved.byteslice(at, 4).unpack1('N'))
  end
end
