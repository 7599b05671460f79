# frozen_string_literal: true

require_relative 'nodes'

# What can be wrong with a node's directory: each error names the file and the remedy.
class TestDirectory < Minitest::Test
  include Nodes

  def test_what_is_damaged_names_file_and_remedy
    damage = {
      'node.json' => ['{', '[]', '{}', '{"version":2}', '{"version":0}', '{"version":1,"name":"a b"}',
                      '{"version":1,"name":"m","attrs":8}', '{"version":1,"name":"m","endpoints":[1]}',
                      '{"version":1,"name":"m","registries":[{"sig":"x"}]}'],
      'sig.pem' => ['', 'no key', keys.sig.private_to_pem(OpenSSL::Cipher.new('aes-128-cbc'), 'p')],
      'cert.pem' => ['', "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", other_certificate]
    }
    damage.each do |file, contents|
      contents.each { |content| refuse_damaged(file, content) }
    end
  end

  def other_certificate
    der = Xlreg::Node.new(name: 'm0', keys: Xlreg::TestHelper.keys(1)).certificate
    OpenSSL::X509::Certificate.new(der).to_pem
  end

  def refuse_damaged(file, content)
    with_directory do |path|
      make(path).close
      File.write(File.join(path, file), content)
      error = assert_raises(Xlreg::NodeError, content) { Xlreg::Node.open(path) }
      assert_includes error.message, file
      assert_raises(Xlreg::NodeError) { Xlreg::Node.load(path) }
    end
  end

  def test_what_is_too_open_or_missing
    with_directory do |path|
      assert_raises(Xlreg::NoNodeError) { Xlreg::Node.open(path) }
      make(path).close
      File.chmod(0o640, File.join(path, 'comms.pem'))
      assert_match(/chmod 600/, assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }.message)
      File.delete(File.join(path, 'comms.pem'))
      assert_match(/put the key there/, assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }.message)
      File.chmod(0o770, path)
      assert_match(/chmod 700/, assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }.message)
    end
  end

  # A power cut can leave a file that has its name and nothing in it.
  def test_the_name_comes_back_from_the_certificate
    ['', "\0" * 300].each do |left|
      with_directory do |path|
        make(path).close
        record = File.join(path, 'node.json')
        File.write(record, left)
        assert_equal 'm0', Xlreg::Node.load(path).name
        assert_equal left, File.read(record)
        _, warned = capture_io do
          Xlreg::Node.open(path) { |node| assert_equal ['m0', []], [node.name, node.registrations] }
        end
        assert_match(/the name m0 is back from cert.pem/, warned)
        assert_silent { Xlreg::Node.open(path) { |node| assert_equal 'm0', node.name } }
      end
    end
  end

  def test_the_name_does_not_come_back
    [nil, '', other_certificate].each do |certificate|
      with_directory do |path|
        make(path).close
        File.write(File.join(path, 'node.json'), '')
        file = File.join(path, 'cert.pem')
        certificate ? File.write(file, certificate) : File.delete(file)
        error = assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }
        assert_match(/node.json is empty.*from a backup.*xlreg node init/, error.message)
        assert_empty File.read(File.join(path, 'node.json'))
      end
    end
  end

  def test_the_directory_of_a_registry
    own = { 'sig' => keys.fingerprint, 'id' => 'ab' * 20 }
    [{ 'serve' => { 'data' => '' } }, { 'registries' => [own] }].each do |more|
      with_directory do |path|
        make(path).close
        file = File.join(path, 'node.json')
        File.write(file, JSON.generate(JSON.parse(File.read(file)).merge(more)))
        refuse_registry(path)
      end
    end
  end

  def test_the_directory_of_a_registry_that_lost_its_record
    with_directory do |path|
      make(path).close
      File.write(File.join(path, 'node.json'), '')
      cred(keys).write(File.join(path, 'regCred.dat'))
      refuse_registry(path)
      File.delete(File.join(path, 'node.json'))
      assert_match(/directory of a registry/, assert_raises(Xlreg::NodeError) { make(path) }.message)
      cred(Xlreg::TestHelper.keys(1)).write(File.join(path, 'regCred.dat'))
      make(path).close
    end
  end

  def cred(keys)
    Xlreg::RegCred.new(name: 'reg', id: Xlreg::NodeID.new('i' * 20), comms_key: keys.comms_key, sig_key: keys.sig_key,
                       endpoints: ['127.0.0.1:1'], version: Xlreg::DecimalVersion.parse('2.0.0'))
  end

  def refuse_registry(path)
    error = assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }
    assert_match(/directory of a registry: use another/, error.message)
  end

  # Only root can give files away; all others see that those of root are taken.
  def test_files_of_others_are_refused
    assert_equal 0, File.stat('/').uid
    return unless Process.euid.zero?

    %w[. sig.pem comms.pem node.json cert.pem].each do |name|
      with_directory do |path|
        make(path).close
        File.chown(4711, nil, File.join(path, name))
        error = assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }
        assert_match(/belongs to another user \(uid 4711\)/, error.message)
      end
    end
  end

  def test_the_parents_of_a_new_directory_are_synced
    with_directory do |path|
      synced = []
      Xlreg::AtomicFile.stub(:sync, ->(folder) { synced << folder }) do
        Xlreg::AtomicFile.make_dirs(File.join(path, 'a', 'b'), 0o700)
      end
      assert_equal [File.join(path, 'a'), path], synced.first(2)
      assert_equal 0o700, File.stat(File.join(path, 'a', 'b')).mode & 0o777
    end
  end

  def test_what_a_crash_left_is_removed
    with_directory do |path|
      make(path).close
      File.write(File.join(path, '.node.json.abc.tmp'), 'half')
      Xlreg::Node.open(path).close
      assert_empty Dir.glob('.*.tmp', base: path)
    end
  end

  # On a full disk the file, and the node, stay as they were.
  def test_a_failed_save_changes_nothing
    with_directory do |path|
      make(path) do |node|
        before = File.binread(File.join(path, 'node.json'))
        full = ->(*) { raise Errno::ENOSPC }
        Xlreg::AtomicFile.stub(:fill, full) do
          error = assert_raises(Xlreg::NodeError) { node.update_endpoints(['127.0.0.1:9']) }
          assert_match(/No space left/, error.message)
        end
        assert_equal ['127.0.0.1:7001'], node.endpoints.map(&:to_s)
        assert_equal before, File.binread(File.join(path, 'node.json'))
        assert_empty Dir.glob('.*.tmp', base: path)
      end
    end
  end

  # What was on disk before is on disk after a crash at any step of a write.
  def test_a_write_that_is_cut_short_leaves_the_old_file
    with_directory do |path|
      make(path) do |node|
        before = File.binread(File.join(path, 'node.json'))
        File.stub(:rename, ->(*) { raise Errno::EIO }) do
          assert_raises(Xlreg::NodeError) { node.update_registration(Xlreg::Registration.new(**REGISTRATION)) }
        end
        assert_equal [before, []], [File.binread(File.join(path, 'node.json')), node.registrations]
      end
    end
  end

  ENTRY = { 'sig' => REGISTRATION[:sig], 'id' => 'ab' * 20 }.freeze

  # Each: the file, its content, and words of the error besides the file's name.
  DAMAGES = {
    'an endless key' => ['sig.pem', 'a' * ((1 << 20) + 1), /bytes/],
    'an empty key' => ['comms.pem', '', /backup/],
    'half a key' => ['sig.pem', "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", /backup/],
    'a certificate that is none' => ['cert.pem', 'nonsense', /remove it/],
    'a record of a newer program' => ['node.json', '{"version":2,"name":"m0"}', /version 2.*newer program/],
    'a record without version' => ['node.json', '{"name":"m0"}', /no "version"/],
    'a record without a name' => ['node.json', '{"version":1}', /ill-formed name/],
    'a record not in UTF-8' => ['node.json', %({"version":1,"name":"m0","x":"\xFF"}), /UTF-8/],
    'a name that is a number' => ['node.json', '{"version":1,"name":7}', /name/],
    'unknown attrs' => ['node.json', '{"version":1,"name":"m0","attrs":8}', /attrs/],
    'attrs below nothing' => ['node.json', '{"version":1,"name":"m0","attrs":-1}', /attrs/],
    'a bad endpoint' => ['node.json', '{"version":1,"name":"m0","endpoints":["a:0"]}', /a:0/],
    'a registry without ID' => ['node.json', JSON.generate('version' => 1, 'name' => 'm0',
                                                           'registries' => [ENTRY.except('id')]),
                                /registries\[0\].*ill-formed ID/],
    'a registry twice' => ['node.json', JSON.generate('version' => 1, 'name' => 'm0', 'registries' => [ENTRY] * 2),
                           /registries\[1\].*twice/]
  }.freeze

  DAMAGES.each do |name, (file, content, words)|
    define_method("test_damage_by_#{name.tr(' ', '_')}") do
      with_directory do |path|
        make(path).close
        File.write(File.join(path, file), content)
        %i[open load].each do |read|
          error = assert_raises(Xlreg::NodeError) { Xlreg::Node.public_send(read, path) }
          assert_match(words, error.message)
          assert_includes error.message, File.join(path, file)
        end
      end
    end
  end

  def test_files_that_are_none
    %w[sig.pem cert.pem node.json].each do |file|
      with_directory do |path|
        make(path).close
        File.delete(File.join(path, file))
        Dir.mkdir(File.join(path, file), 0o700)
        error = assert_raises(Xlreg::NodeError, file) { Xlreg::Node.open(path) }
        assert_includes error.message, file
      end
    end
  end

  def test_where_there_is_no_node
    with_directory do |path|
      folder = File.dirname(path)
      [path, folder].product(%i[open load]).each do |where, read|
        assert_raises(Xlreg::NoNodeError) { Xlreg::Node.public_send(read, where) }
      end
      assert_empty Dir.children(folder) # no lock was left either
      assert_raises(Xlreg::NodeError) { Xlreg::Node.init(File.join(folder, '7up')) }
      File.write(path, '')
      assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }
    end
  end
end
